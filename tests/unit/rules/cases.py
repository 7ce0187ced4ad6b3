"""An intent and a book that every rule lets pass; a test changes what it is about."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from shared.domain.risk.book import Book, Position, Reservation
from shared.domain.risk.intents import Intent
from shared.schemas.values import Direction, Purpose, Quote, Side
from tests.builders import SESSION

SLOT_AT = dt.datetime(2024, 1, 5, 14, 35, tzinfo=dt.UTC)
YESTERDAY = dt.date(2024, 1, 4)
D = Decimal


def quote(**changes: Any) -> Quote:
    values: dict[str, Any] = {"symbol": "AAPL", "bid": D("9.99"), "ask": D("10.00"), "at": SLOT_AT}
    return Quote(**{**values, **changes})


def intent(**changes: Any) -> Intent:
    """Buy 7 at 10.01, quoted 9.99 to 10.00."""
    values: dict[str, Any] = {
        "signal_id": "s1",
        "symbol": "AAPL",
        "strategy": "donchian",
        "direction": Direction.LONG,
        "side": Side.BUY,
        "purpose": Purpose.ENTRY,
        "qty": 7,
        "limit_price": D("10.01"),
        "quote": quote(),
        "stop": D("9.00"),
        "target": D("12.50"),
        "time_stop_bars": 20,
        "last_close": D("10.00"),
        "session": SESSION,
        "signal_session": YESTERDAY,
        "last_completed": YESTERDAY,
        "now": SLOT_AT,
        "closes_at": dt.datetime(2024, 1, 5, 21, 0, tzinfo=dt.UTC),
    }
    return Intent(**{**values, **changes})


def exit_intent(**changes: Any) -> Intent:
    """Sell the 5 that `book(positions={"AAPL": position()})` holds."""
    values: dict[str, Any] = {
        "purpose": Purpose.TIME_EXIT,
        "side": Side.SELL,
        "qty": 5,
        "limit_price": D("9.98"),
        "stop": None,
        "target": None,
        "time_stop_bars": 0,
        "last_close": None,
    }
    return intent(**{**values, **changes})


def book(**changes: Any) -> Book:
    values: dict[str, Any] = {
        "session": SESSION,
        "cash": D(100000),
        "buying_power": D(100000),
        "equity": D(100000),
        "peak_equity": D(100000),
        "session_equity": D(100000),
    }
    return Book(**{**values, **changes})


def position(**changes: Any) -> Position:
    values: dict[str, Any] = {
        "strategy": "donchian",
        "direction": Direction.LONG,
        "qty": 5,
        "average_price": D(10),
        "entry_session": YESTERDAY,
    }
    return Position(**{**values, **changes})


def reservation(**changes: Any) -> Reservation:
    """7 at 10.00 to be bought."""
    values: dict[str, Any] = {
        "scan_id": "SCAN_20240105_143500",
        "session": SESSION,
        "signal_id": "s1",
        "symbol": "AAPL",
        "strategy": "donchian",
        "direction": Direction.LONG,
        "side": Side.BUY,
        "purpose": Purpose.ENTRY,
        "qty": 7,
        "limit_price": D(10),
    }
    return Reservation(**{**values, **changes})


def leaving(**changes: Any) -> Reservation:
    """5 at 10.00 to be sold by an exit."""
    return reservation(
        **{"side": Side.SELL, "purpose": Purpose.TIME_EXIT, "qty": 5, "signal_id": "x1", **changes}
    )
