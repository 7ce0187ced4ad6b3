"""Row 44: no entry passes on a quote that is stale, crossed, one-sided or far from the close."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from shared.schemas.values import Quote
from tests.builders import scan_ref
from tests.unit.risk_gate.desk import D, Desk, approved, denied, gate_settings, signal

BIDS = ("0", "0.01", "8.99", "9.89", "9.90", "9.99", "10.00", "10.01", "11.00")
ASKS = ("0", "0.01", "8.98", "9.00", "9.95", "10.00", "10.01", "10.98", "11.00", "12.49")
AGES = (-3600.0, -5.1, -5.0, 0.0, 5.0, 5.1, 3600.0)
CLOSE = D("10.00")


def reasons_for(bid: str, ask: str, age: float) -> tuple[str, ...]:
    desk = Desk(gate_settings(replay=False), at=scan_ref().slot_at).open()
    at = desk.at - dt.timedelta(seconds=age)
    quote = Quote(symbol="AAPL", bid=D(bid), ask=D(ask), at=at)
    said = desk.scan([signal(stop=D("5.50"), target=D("30.00"))], quotes=[quote])
    return () if approved(said) else denied(said)["AAPL"]


def expected(bid: str, ask: str, age: float) -> set[str]:
    """The reasons about the quote itself."""
    b, a = D(bid), D(ask)
    limit = (a * D("1.001")).quantize(D("0.01"), rounding="ROUND_CEILING")
    found = set()
    if a == 0:
        found.add("no_quote")
    if not (0 < b < a and a - b <= D("0.01") * a):
        found.add("spread")
    if abs(age) > 5:
        found.add("stale_quote")
    if a and (abs(limit - a) > D("0.03") * a or abs(limit - CLOSE) > D("0.10") * CLOSE):
        found.add("collar")
    return found


@pytest.mark.parametrize(("bid", "ask"), list(itertools.product(BIDS, ASKS)))
def test_the_verdict_on_every_quote_names_what_is_wrong_with_it(bid: str, ask: str) -> None:
    about_quotes = {"no_quote", "spread", "stale_quote", "collar"}
    for age in AGES:
        reasons = set(reasons_for(bid, ask, age))
        assert reasons & about_quotes == expected(bid, ask, age), (bid, ask, age)
