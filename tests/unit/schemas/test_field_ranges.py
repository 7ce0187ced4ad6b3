"""Every absurd value of every field of every message dies in the decoder."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from shared.schemas import fields as f, messages as m
from shared.schemas.envelope import Malformed, canonical, decode, from_fields, to_fields
from shared.schemas.messages import OrderEnded
from shared.schemas.streams import MESSAGE_TYPES
from shared.schemas.values import Ending, Protection, Purpose, Reason, Side, Slot
from tests.builders import approval, envelope
from tests.unit.risk_gate.desk import account_seen
from tests.unit.schemas.samples import Path, absurd_values, sample_of

ABSURD = [
    (name, path, value)
    for name, kind in MESSAGE_TYPES.items()
    for path, value in absurd_values(kind)
]


def put(sample: Any, path: Path, value: Any) -> Any:
    """A copy of a plain value with something else at one place."""
    changed = copy.deepcopy(sample)
    at = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


@pytest.mark.parametrize("name", MESSAGE_TYPES)
def test_a_valid_sample_of_every_message_is_read(name: str) -> None:
    assert type(decode(name, canonical(sample_of(MESSAGE_TYPES[name])))) is MESSAGE_TYPES[name]


@pytest.mark.parametrize("name", MESSAGE_TYPES)
def test_no_absurd_value_in_any_field_is_read(name: str) -> None:
    sample = sample_of(MESSAGE_TYPES[name])
    passed = []
    for _, path, value in (each for each in ABSURD if each[0] == name):
        try:
            decode(name, canonical(put(sample, path, value)))
            passed.append((path, str(value)[:40]))
        except Malformed:
            continue
    assert passed == []


def test_there_are_thousands_of_absurd_values() -> None:
    assert len(ABSURD) > 2000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seq", "-1"),
        ("seq", str(2**53 + 1)),
        ("fence", "-1"),
        ("at", "9999-01-01T00:00:00Z"),
        ("session", "0001-01-01"),
        ("id", "x" * 129),
        ("id", "a b"),
        ("type", "Order Approved"),
        ("account", "x" * 200),
        ("correlation_id", "line\nbreak"),
        ("mode", "moon"),
    ],
)
def test_no_absurd_value_in_the_envelope_is_read(field: str, value: str) -> None:
    with pytest.raises(Malformed, match="envelope"):
        from_fields({**to_fields(envelope(approval())), field: value})


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_a_price_is_read_if_and_only_if_a_share_could_have_it(price: Decimal) -> None:
    sample = {**msgspec.to_builtins(approval()), "limit_price": str(price)}
    possible = price.is_finite() and f.MIN_PRICE <= price <= f.MAX_PRICE
    try:
        read = decode("OrderApproved", canonical(sample))
    except Malformed:
        assert not possible or str(price) != str(Decimal(str(price))) or len(str(price)) > 48
    else:
        assert possible
        assert read.limit_price == price  # type: ignore[attr-defined]


@given(st.from_regex(f.SYMBOL_GRAMMAR, fullmatch=True), st.text(max_size=20))
def test_a_symbol_is_what_the_grammar_says_for_the_decoder_and_for_us(
    symbol: str, text: str
) -> None:
    for candidate in (symbol, text):
        sample = {**msgspec.to_builtins(approval()), "symbol": candidate}
        try:
            decode("OrderApproved", canonical(sample))
        except Malformed:
            assert not f.is_symbol(candidate)
        else:
            assert f.is_symbol(candidate)


@pytest.mark.parametrize("symbol", ["A", "BRK.B", "NA", "TRUE", "ZVZZT", "BAC.PRK", "X1"])
def test_what_the_exchange_lists_is_a_symbol(symbol: str) -> None:
    assert f.is_symbol(symbol)


def test_a_long_explanation_of_ours_is_cut_so_that_its_message_is_always_read() -> None:
    ended = OrderEnded(
        client_order_id="k",
        decision_id="d",
        strategy="donchian",
        symbol="AAPL",
        side=Side.BUY,
        purpose=Purpose.ENTRY,
        ending=Ending.REJECTED,
        filled_qty=0,
        average_price=None,
        detail="x" * 5000,
    )
    assert ended.detail == "x" * 1000
    assert decode("OrderEnded", canonical(ended)) == ended


def test_texts_in_lists_and_tables_are_cut_too() -> None:
    seen = account_seen(unreadable=("", "x" * 100), drift=("AAPL",))
    assert seen.unreadable == ("", "x" * 64)
    assert decode("AccountSeen", canonical(seen)) == seen
    denied = m.OrderDenied(
        scan_id="s",
        slot=Slot.OPEN,
        signal_id="s",
        decision_id="d",
        strategy="donchian",
        symbol="AAPL",
        side=Side.BUY,
        purpose=Purpose.ENTRY,
        qty=0,
        limit_price=None,
        reasons=(Reason.HALTED,),
        details={"halted": "k" * 100_000},
    )
    assert denied.details == {"halted": "k" * 1000}
    assert decode("OrderDenied", canonical(denied)) == denied


def test_a_number_out_of_range_cannot_even_be_built() -> None:
    with pytest.raises(ValueError, match=r"stop is not between 0\.0001 and 10000000"):
        Protection(stop=Decimal("-2.55"), target=None, time_stop_bars=5)
