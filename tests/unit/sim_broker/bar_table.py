"""Hand-written bars: sessions in a row from 2 January 2024, flat unless a test differs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from shared.schemas.values import Bar

DAYS = [dt.date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9, 10, 11, 12, 16, 17, 18)]


def bar(opening: str, high: str, low: str, close: str) -> Bar:
    return Bar(open=Decimal(opening), high=Decimal(high), low=Decimal(low), close=Decimal(close))


FLAT = bar("100", "101", "99", "100")


class BarTable:
    """`days` maps a session's number (from 1) to AAPL's bar; None is a session without one."""

    def __init__(
        self,
        days: Mapping[int, Bar | None] | None = None,
        *,
        symbols: Collection[str] = ("AAPL", "IBM"),
    ) -> None:
        self._days, self._symbols = dict(days or {}), tuple(symbols)

    def bar(self, symbol: str, session: dt.date) -> Bar | None:
        if symbol not in self._symbols or session not in DAYS:
            return None
        return self._days.get(DAYS.index(session) + 1, FLAT) if symbol == "AAPL" else FLAT

    def symbols(self) -> Collection[str]:
        return self._symbols

    def sessions(self) -> Sequence[dt.date]:
        return DAYS
