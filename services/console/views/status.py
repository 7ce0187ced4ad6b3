"""The stack at a glance, gathered from the services' own states. Read-only."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from services.console.stack.client import ServiceStatus, StackClient
from shared.domain.trading.ledger import HeldLots
from shared.domain.trading.orders import Order
from shared.schemas.streams import ServiceName
from shared.schemas.values import Purpose


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """`halted` is the durable latch; `kill` the last kill's reason. Money in dollars."""

    halted: bool
    kill: str
    kill_id: str
    session: str
    equity: str
    cash: str
    budget_used: str
    trading_state: str
    open_positions: int
    chain_height: int
    dead_letters: int
    services: list[ServiceStatus]


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


def overview(operations: StackClient) -> Overview:
    view, (kill_id, kill) = operations.kill_view(), operations.last_kill()
    gate = operations.state(ServiceName.RISK_GATE)
    executor = operations.state(ServiceName.EXECUTOR)
    return Overview(
        halted=view.halted,
        kill=str(kill.get("why", "")),
        kill_id=kill_id,
        session=str(gate.get("book.session") or executor.get("session") or ""),
        equity=str(gate.get("book.equity", "")),
        cash=str(gate.get("book.cash", "")),
        budget_used=str(gate.get("book.used", "0")),
        trading_state=str(gate.get("book.trading_state", "active")),
        open_positions=sum(name.startswith("positions:") for name in executor),
        chain_height=int(operations.state(ServiceName.AUDITOR).get("height", 0)),
        dead_letters=operations.dead_letters(),
        services=operations.services(),
    )


def positions(operations: StackClient) -> list[PositionRow]:
    state = operations.state(ServiceName.EXECUTOR)
    guarded = {
        (order.symbol, order.qty)
        for order in _members(state, "orders", Order)
        if order.purpose is Purpose.PROTECT and order.rests
    }
    return [
        _row(held, guarded)
        for held in sorted(_members(state, "positions", HeldLots), key=lambda p: p.symbol)
    ]


def quantities(operations: StackClient) -> dict[str, int]:
    """The executor's own signed share counts, by symbol."""
    held = _members(operations.state(ServiceName.EXECUTOR), "positions", HeldLots)
    return {position.symbol: position.qty for position in held}


def _members(state: dict[str, Any], name: str, type_: type[Any]) -> list[Any]:
    return [
        msgspec.convert(value, type_) for key, value in state.items() if key.startswith(f"{name}:")
    ]


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
