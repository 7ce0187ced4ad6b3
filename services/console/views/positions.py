"""What is held, as the executor believes it: rows for people and share counts for comparing.

Called by `kobe positions`, `kobe status` and the demo. Pure but for reading the executor's state.
"""

from decimal import Decimal
from typing import Any

import msgspec

from services.console.stack.reader import StackReader
from shared.domain.trading.ledger import HeldLots
from shared.domain.trading.orders import Order
from shared.domain.trading.protection import is_protected
from shared.schemas.json_types import JsonMapping, JsonObject
from shared.schemas.streams import ServiceName


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol held; `protected`: a living stop for all of it, on the right side of the market.

    `dispute`: how the broker's shares differ, until the operator settles it; `external` shares at
    the broker are not ours.
    """

    symbol: str
    qty: int
    average_price: Decimal
    strategy: str
    entry_session: str
    stop: Decimal | None
    target: Decimal | None
    protected: bool
    dispute: str
    external: Decimal


def positions(client: StackReader) -> list[PositionRow]:
    return position_rows(client.state(ServiceName.EXECUTOR))


def position_rows(state: JsonMapping) -> list[PositionRow]:
    """Of the executor's state, by symbol."""
    orders = _members(state, "orders", Order)
    return [
        _row(held, orders, state)
        for held in sorted(_members(state, "positions", HeldLots), key=lambda p: p.symbol)
    ]


def quantities(client: StackReader) -> dict[str, int]:
    """The executor's own signed share counts, by symbol."""
    held = _members(client.state(ServiceName.EXECUTOR), "positions", HeldLots)
    return {position.symbol: position.qty for position in held}


def external_shares(client: StackReader) -> dict[str, Decimal]:
    """Shares at the broker that are not ours, by symbol: shown, never sold."""
    found = members(client.state(ServiceName.EXECUTOR), "external")
    return {symbol: Decimal(str(qty)) for symbol, qty in sorted(found.items())}


def drifting_symbols(client: StackReader) -> list[str]:
    """On which our books and the broker disagree, by the executor; disputes wait for a person."""
    state = client.state(ServiceName.EXECUTOR)
    return sorted({*members(state, "drifts"), *members(state, "disputes")})


def disputed_symbols(client: StackReader) -> list[str]:
    """Those seen twice, which `kobe adopt`, `release` or `acknowledge` settles."""
    return sorted(members(client.state(ServiceName.EXECUTOR), "disputes"))


def members(state: JsonMapping, name: str) -> JsonObject:
    """A mapping that a service's state spreads over fields `name:key`."""
    prefix = f"{name}:"
    return {
        key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)
    }


def _members(state: JsonMapping, name: str, type_: type[Any]) -> list[Any]:
    return [msgspec.convert(value, type_) for value in members(state, name).values()]


def _row(held: HeldLots, orders: list[Order], state: JsonMapping) -> PositionRow:
    protection = held.protection
    dispute = state.get(f"disputes:{held.symbol}") or {}
    return PositionRow(
        symbol=held.symbol,
        qty=held.qty,
        average_price=(held.cost / held.qty).quantize(Decimal("0.01")),
        strategy=held.strategy,
        entry_session=held.lots[0].session.isoformat(),
        stop=protection.stop if protection else None,
        target=protection.target if protection else None,
        protected=is_protected(held, orders),
        dispute=str(dispute.get("why", "")),
        external=Decimal(str(state.get(f"external:{held.symbol}", 0))),
    )
