"""What is held, as the executor believes it: rows for people and share counts for comparing.

Called by `kobe positions`, `kobe status` and the demo. Pure but for reading the executor's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from services.console.stack.reader import StackReader
from shared.domain.trading.ledger import HeldLots
from shared.domain.trading.orders import Order
from shared.schemas.streams import ServiceName
from shared.schemas.values import Purpose


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol held; `protected`: a stop rests there for all of it."""

    symbol: str
    qty: int
    average_price: Decimal
    strategy: str
    entry_session: str
    stop: Decimal | None
    target: Decimal | None
    protected: bool


def positions(client: StackReader) -> list[PositionRow]:
    return position_rows(client.state(ServiceName.EXECUTOR))


def position_rows(state: Mapping[str, Any]) -> list[PositionRow]:
    """Of the executor's state, by symbol."""
    guarded = {
        (order.symbol, order.qty)
        for order in _members(state, "orders", Order)
        if order.purpose is Purpose.PROTECT and order.rests
    }
    return [
        _row(held, guarded)
        for held in sorted(_members(state, "positions", HeldLots), key=lambda p: p.symbol)
    ]


def quantities(client: StackReader) -> dict[str, int]:
    """The executor's own signed share counts, by symbol."""
    held = _members(client.state(ServiceName.EXECUTOR), "positions", HeldLots)
    return {position.symbol: position.qty for position in held}


def drifting_symbols(client: StackReader) -> list[str]:
    """On which our books and the broker disagree, by the executor."""
    drifts = members(client.state(ServiceName.EXECUTOR), "drifts").values()
    return sorted({str(drift["symbol"]) for drift in drifts if drift.get("symbol")})


def members(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A mapping that a service's state spreads over fields `name:key`."""
    prefix = f"{name}:"
    return {
        key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)
    }


def _members(state: Mapping[str, Any], name: str, type_: type[Any]) -> list[Any]:
    return [msgspec.convert(value, type_) for value in members(state, name).values()]


def _row(held: HeldLots, guarded: set[tuple[str, int]]) -> PositionRow:
    protection = held.protection
    return PositionRow(
        symbol=held.symbol,
        qty=held.qty,
        average_price=(held.cost / held.qty).quantize(Decimal("0.01")),
        strategy=held.strategy,
        entry_session=held.lots[0].session.isoformat(),
        stop=protection.stop if protection else None,
        target=protection.target if protection else None,
        protected=(held.symbol, abs(held.qty)) in guarded,
    )
