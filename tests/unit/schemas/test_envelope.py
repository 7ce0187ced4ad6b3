import msgspec
import pytest
from hypothesis import given, strategies as st

from shared.schemas.envelope import (
    MAX_BYTES,
    Malformed,
    bytes_to_sign,
    canonical,
    decode,
    from_fields,
    to_fields,
)
from shared.schemas.messages import OrderApproved
from tests.builders import approval, envelope


def test_what_is_written_is_read_back_equal() -> None:
    sent = envelope(approval())
    assert from_fields(to_fields(sent)) == (sent, approval())


def test_equal_messages_have_equal_bytes_whatever_the_order_they_were_built_in() -> None:
    assert (
        canonical({"b": "1", "a": "2"}) == canonical({"a": "2", "b": "1"}) == b'{"a":"2","b":"1"}'
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"limit_price":1.5}', "float"),
        (b'{"scan_id":"a","scan_id":"b"}', "canonical"),
        (b'{"scan_id": "a"}', "canonical"),
        (b'{"scan_id":"a"', "truncated"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 5000, "OrderApproved"),
        (b"{}", "missing required field"),
        (canonical(approval()).replace(b'"180.19"', b"180"), "meant"),
        (canonical(approval()).replace(b'"180.19"', b'"NaN"'), "finite"),
        (canonical(approval()).replace(b'"qty":3', b'"qty":true'), "int"),
        (canonical(approval()).replace(b'"qty":3', b'"qty":"3"'), "int"),
        (canonical(approval()).replace(b'"buy"', b'"steal"'), "enum"),
        (canonical(approval()).replace(b'17:00:15Z"', b'17:00:15"'), "expires_at has no time zone"),
    ],
)
def test_anything_but_the_exact_canonical_form_is_malformed(data: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        decode("OrderApproved", data)


def test_an_unknown_field_is_ignored_and_an_unknown_type_is_not() -> None:
    more = canonical({**msgspec.to_builtins(approval()), "zeta": "later"})
    assert decode("OrderApproved", more) == approval()
    with pytest.raises(Malformed, match="unknown message type"):
        decode("OrderGuessed", b"{}")


def test_an_oversized_entry_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(Malformed, match="more than"):
        from_fields({"data": "x" * (MAX_BYTES + 1)})


@pytest.mark.parametrize("field", ["seq", "at", "writer", "mode", "session"])
def test_a_broken_envelope_field_is_named(field: str) -> None:
    fields = to_fields(envelope(approval()))
    with pytest.raises(Malformed, match="envelope"):
        from_fields({**fields, field: "no"})


def test_a_signature_covers_every_field_but_itself() -> None:
    sent = envelope(approval(), key_id="k", signature="s")
    assert bytes_to_sign(sent) == bytes_to_sign(msgspec.structs.replace(sent, signature="other"))
    for field in ("seq", "account", "data", "key_id", "session"):
        other = msgspec.structs.replace(
            sent, **{field: 9 if field == "seq" else getattr(sent, field)}
        )
        changed = msgspec.structs.replace(
            other, **({"data": "{}"} if field == "data" else {"fence": 7})
        )
        assert bytes_to_sign(sent) != bytes_to_sign(changed)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_decode_or_be_malformed(data: bytes) -> None:
    try:
        assert isinstance(decode("OrderApproved", data), OrderApproved)
    except Malformed:
        return
