import json

import pytest

from shared.domain.chain import BrokenLink, NotCanonical, first_broken_legacy, legacy_hash, open_line, seal


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


@pytest.mark.parametrize("position", range(0, 90, 7))
def test_any_flipped_byte_is_found(position: int) -> None:
    _, head = seal({"type": "Genesis"}, None)
    line, _ = seal({"a": "some payload of some length"}, head)
    flipped = bytearray(line)
    flipped[position] ^= 1
    with pytest.raises((BrokenLink, NotCanonical)):
        open_line(bytes(flipped), head)


def test_a_payload_written_another_way_is_not_canonical_even_with_the_right_hash() -> None:
    import hashlib

    body = b'{"payload":{"b":1, "a":2},"prev_hash":null'
    line = body + b',"this_hash":"' + hashlib.sha256(body + b"}").hexdigest().encode() + b'"}'
    with pytest.raises(NotCanonical):
        open_line(line, None)


def test_the_predecessors_vectors_hold() -> None:
    first = legacy_hash({"data": "foo", "event": "test1"}, None)
    assert first == "c92111968844deac40e032c0daa9e4331275e2dc9303c2920b12db1bdc088ff6"
    second = legacy_hash({"event": "test2", "data": "bar"}, first)
    assert second == "067402f162d22f0b597d0a5a6fff458ea7a26c7ee37b63f295077fbc25d47889"


def test_the_first_broken_record_of_the_predecessors_is_named() -> None:
    lines, prev = [], None
    for number in range(5):
        this = legacy_hash({"n": number}, prev)
        lines.append(json.dumps({"payload": {"n": number}, "prev_hash": prev, "this_hash": this}).encode())
        prev = this
    assert first_broken_legacy(lines) is None
    assert first_broken_legacy([*lines[:2], *lines[3:]]) == 2
    assert first_broken_legacy([*lines[:3], b"not json", *lines[4:]]) == 3
