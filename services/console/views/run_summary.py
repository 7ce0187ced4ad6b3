"""What happened, counted from what was said. Pure; used by the demo's progress and its final table."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from shared.schemas import messages as m
from shared.schemas.values import Stage


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """`signals` and `denied` count intents, a retried one each time; `orders` are those the broker took."""

    sessions: int = 0
    session: str = ""
    signals: int = 0
    approved: int = 0
    denied: dict[str, int] = {}
    orders: int = 0
    protections: int = 0
    fills: int = 0
    open_positions: int = 0
    equity: Decimal = Decimal(0)
    height: int = 0
    unknown: int = 0
    drift: tuple[str, ...] = ()
    refused_bars: dict[str, int] = {}


def counted(tally: Tally, message: m.Message) -> Tally:
    """The tally with one more message in it."""
    change: Mapping[str, object] = {}
    match message:
        case m.SessionClosed():
            change = {"sessions": tally.sessions + 1, "session": message.session.isoformat()}
        case m.BarsReady():
            change = {"refused_bars": message.refused}
        case m.ScanCompleted():
            change = {"signals": tally.signals + len(message.signals)}
        case m.OrderApproved():
            change = {"approved": tally.approved + 1}
        case m.OrderDenied():
            change = {"denied": _with_reasons(tally.denied, message)}
        case m.OrderSubmitted():
            change = {"orders": tally.orders + 1}
        case m.ProtectionPlaced():
            change = {"protections": tally.protections + 1}
        case m.OrderFilled():
            change = {"fills": tally.fills + 1}
        case m.OrderUnknown():
            change = {"unknown": tally.unknown + 1}
        case m.AccountSeen():
            change = _account(message)
        case m.BlockAppended():
            change = {"height": message.height}
        case _:
            return tally
    return msgspec.structs.replace(tally, **change)


def _with_reasons(denied: Mapping[str, int], message: m.OrderDenied) -> dict[str, int]:
    """Every denial counts once, under its first reason."""
    reason = message.reasons[0].value
    return {**denied, reason: denied.get(reason, 0) + 1}


def _account(message: m.AccountSeen) -> dict[str, object]:
    seen: dict[str, object] = {"open_positions": len(message.holdings), "drift": message.drift}
    if message.stage in (Stage.MARK, Stage.START):
        seen["equity"] = message.equity
    return seen
