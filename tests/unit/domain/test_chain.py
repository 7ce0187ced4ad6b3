import hashlib
import json

import pytest

from services.auditor.chain.record import (
    BrokenLink,
    NotCanonical,
    chain_id,
    first_broken_legacy,
    legacy_hash,
    open_line,
    seal,
)


def test_a_sealed_record_opens_with_what_went_in() -> None:
    first, head = seal({"type": "Genesis"}, None)
    second, after = seal({"b": 2, "a": "é"}, head)
    assert open_line(first, None) == ({"type": "Genesis"}, head)
    assert open_line(second, head) == ({"a": "é", "b": 2}, after)
    assert json.loads(second)["prev_hash"] == head


def test_a_record_that_follows_another_is_refused() -> None:
    _, head = seal({"type": "Genesis"}, None)
    line, _ = seal({"a": 1}, head)
    with pytest.raises(BrokenLink, match="prev_hash"):
        open_line(line, "0" * 64)


def test_a_record_has_these_bytes_and_no_others() -> None:
    line, head = seal({"type": "Genesis", "n": 1}, None)
    assert line == (
        b'{"payload":{"n":1,"type":"Genesis"},"prev_hash":null,'
        b'"this_hash":"1b506a38679246df65377328e26ad9fb1ba4dfb11dc68fee31bdf5f78e4bc07d"}'
    )
    assert (
        head == hashlib.sha256(b'{"payload":{"n":1,"type":"Genesis"},"prev_hash":null}').hexdigest()
    )


@pytest.mark.parametrize("position", range(190))
def test_any_flipped_byte_is_found(position: int) -> None:
    _, head = seal({"type": "Genesis"}, None)
    line, _ = seal({"a": "some payload of some length"}, head)
    flipped = bytearray(line)
    flipped[position] ^= 1
    with pytest.raises((BrokenLink, NotCanonical)):
        open_line(bytes(flipped), head)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"b":1,"a":2}',
        b'{"a":1, "b":2}',
        b'{"a":1,"a":1}',
        b'{"a":"\\u0041"}',
        b'{"a":1.50}',
        b'{"a":1}{"b":2}',
        b"[1]",
        b'"text"',
        b"{",
        b'{"a":"\xff"}',
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_a_payload_written_another_way_is_not_canonical_even_with_the_right_hash(
    payload: bytes,
) -> None:
    body = b'{"payload":' + payload + b',"prev_hash":null'
    line = body + b',"this_hash":"' + hashlib.sha256(body + b"}").hexdigest().encode() + b'"}'
    with pytest.raises(NotCanonical):
        open_line(line, None)


def test_a_chain_is_named_by_how_it_began() -> None:
    begun = {"type": "Genesis", "at": "2024-01-05T17:00:00+00:00"}
    assert chain_id(begun) == chain_id(dict(reversed(begun.items())))
    assert chain_id(begun) != chain_id({**begun, "at": "2024-01-05T17:00:01+00:00"})


def test_the_predecessors_vectors_hold() -> None:
    first = legacy_hash({"data": "foo", "event": "test1"}, None)
    assert first == "c92111968844deac40e032c0daa9e4331275e2dc9303c2920b12db1bdc088ff6"
    second = legacy_hash({"event": "test2", "data": "bar"}, first)
    assert second == "067402f162d22f0b597d0a5a6fff458ea7a26c7ee37b63f295077fbc25d47889"


def test_the_first_broken_record_of_the_predecessors_is_named() -> None:
    lines, prev = [], None
    for number in range(5):
        this = legacy_hash({"n": number}, prev)
        lines.append(
            json.dumps({"payload": {"n": number}, "prev_hash": prev, "this_hash": this}).encode()
        )
        prev = this
    assert first_broken_legacy(lines) is None
    assert first_broken_legacy([*lines[:2], *lines[3:]]) == 2
    assert first_broken_legacy([*lines[:3], b"not json", *lines[4:]]) == 3
