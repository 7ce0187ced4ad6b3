"""What happened in a run, counted from its messages. Pure; the demo shows it."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from shared.schemas import messages as m
from shared.schemas.values import Stage


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of messages.

    `signals` and `denied` count intents, a retried one each time; `orders` are those the broker
    accepted.
    """

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


def add_message(summary: RunSummary, message: m.Message) -> RunSummary:
    """The summary with one more message in it."""
    change: Mapping[str, object] = {}
    match message:
        case m.SessionClosed():
            change = {"sessions": summary.sessions + 1, "session": message.session.isoformat()}
        case m.BarsReady():
            change = {"refused_bars": message.refused}
        case m.ScanCompleted():
            change = {"signals": summary.signals + len(message.signals)}
        case m.OrderApproved():
            change = {"approved": summary.approved + 1}
        case m.OrderDenied():
            change = {"denied": _with_reasons(summary.denied, message)}
        case m.OrderSubmitted():
            change = {"orders": summary.orders + 1}
        case m.ProtectionPlaced():
            change = {"protections": summary.protections + 1}
        case m.OrderFilled():
            change = {"fills": summary.fills + 1}
        case m.OrderUnknown():
            change = {"unknown": summary.unknown + 1}
        case m.AccountSeen():
            change = _account(message)
        case m.BlockAppended():
            change = {"height": message.height}
        case _:
            return summary
    return msgspec.structs.replace(summary, **change)


def _with_reasons(denied: Mapping[str, int], message: m.OrderDenied) -> dict[str, int]:
    """Every denial counts once, under its first reason."""
    reason = message.reasons[0].value
    return {**denied, reason: denied.get(reason, 0) + 1}


def _account(message: m.AccountSeen) -> dict[str, object]:
    seen: dict[str, object] = {"open_positions": len(message.holdings), "drift": message.drift}
    if message.stage in (Stage.MARK, Stage.START):
        seen["equity"] = message.equity
    return seen
