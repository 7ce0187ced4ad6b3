"""Orders for people: one row a decision, brought up to date by executions. Pure."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from services.console.stack.reader import StackReader, StreamMessage
from shared.schemas.messages import (
    OrderApproved,
    OrderDenied,
    OrderEnded,
    OrderFilled,
    OrderSubmitted,
    ScanCompleted,
)
from shared.schemas.streams import Stream
from shared.schemas.values import Ending, Signal

MOST_EXECUTIONS = 100_000
"""Far more than follow ten thousand decisions, the most that can be asked for."""

STATE_OF_ENDING = {
    Ending.FILLED: "FILLED",
    Ending.CANCELED: "CANCELLED",
    Ending.EXPIRED: "CANCELLED",
    Ending.REJECTED: "REJECTED",
    Ending.ABANDONED: "CANCELLED",
    Ending.NOT_SENT: "CANCELLED",
    Ending.HALTED: "CANCELLED",
}


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    decision_id: str
    session: str
    symbol: str
    strategy: str
    side: str
    purpose: str
    qty: int
    limit_price: Decimal | None
    state: str
    filled_qty: int = 0
    price: Decimal | None = None
    why: str = ""


def latest_orders(client: StackReader, count: int) -> list[OrderRow]:
    """The newest decisions, oldest first, each with what became of it."""
    decisions = client.latest(Stream.ORDERS, (OrderApproved, OrderDenied), count)[::-1]
    if not decisions:
        return []
    executions = client.after(Stream.EXECUTIONS, decisions[0].entry_id, count=MOST_EXECUTIONS)
    return order_rows(decisions, executions)


def latest_signals(client: StackReader, count: int) -> list[Signal]:
    """The newest signals, oldest first, however many scans gave none."""
    found: list[Signal] = []
    for entry in client.backwards(Stream.SIGNALS):
        if isinstance(entry.message, ScanCompleted):
            found = [*entry.message.signals, *found]
        if len(found) >= count:
            break
    return found[-count:]


def decision_row(heard: StreamMessage) -> OrderRow:
    """The first row of a decision: APPROVED, or VETOED with its reasons."""
    message = heard.message
    assert isinstance(message, OrderApproved | OrderDenied)
    denied = isinstance(message, OrderDenied)
    return OrderRow(
        decision_id=message.decision_id,
        session=heard.envelope.session.isoformat(),
        symbol=message.symbol,
        strategy=message.strategy,
        side=message.side.value,
        purpose=message.purpose.value,
        qty=message.qty,
        limit_price=message.limit_price,
        state="VETOED" if denied else "APPROVED",
        why=", ".join(message.reasons) if isinstance(message, OrderDenied) else "",
    )


def order_rows(
    decisions: Iterable[StreamMessage], executions: Iterable[StreamMessage]
) -> list[OrderRow]:
    """Decisions in the order given, each brought up to date by what the executor said of it."""
    rows = {row.decision_id: row for row in map(decision_row, decisions)}
    for heard in executions:
        message = heard.message
        if not isinstance(message, OrderSubmitted | OrderFilled | OrderEnded):
            continue
        row = rows.get(message.decision_id)
        if row is not None and message.purpose.value == row.purpose:
            rows[message.decision_id] = _with_execution(row, message)
    return list(rows.values())


def _with_execution(row: OrderRow, message: OrderSubmitted | OrderFilled | OrderEnded) -> OrderRow:
    match message:
        case OrderSubmitted():
            return msgspec.structs.replace(row, state="SUBMITTED")
        case OrderFilled():
            return msgspec.structs.replace(
                row, filled_qty=message.cumulative_qty, price=message.price
            )
        case OrderEnded():
            state = STATE_OF_ENDING[message.ending]
            price = message.average_price or row.price
            return msgspec.structs.replace(
                row,
                state=state,
                filled_qty=message.filled_qty,
                price=price,
                why=message.detail or row.why,
            )
