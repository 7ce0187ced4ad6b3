"""Holds the chain's orders of a day against the broker's own list and the executor's journal.

Called by `kobe audit reconcile` and the evidence pack. Judges nothing but agreement: every broker
order must stand in the chain, approved and signed, and be filled there as it was at the broker.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec

from services.auditor.chain.day_files import whole_lines
from shared.domain.errors import UserError
from shared.domain.trading.ids import is_ours
from shared.schemas import messages as m
from shared.schemas.json_types import JsonMapping

SUBMITTED = {m.OrderSubmitted.__name__, m.ProtectionPlaced.__name__}


class ChainOrder(msgspec.Struct, kw_only=True):
    """An order as the chain tells it; `filled` counts shares."""

    client_order_id: str
    symbol: str
    decision_id: str = ""
    approved: bool = False
    submitted: bool = False
    filled: Decimal = Decimal(0)
    ending: str = ""


class OrderDifference(msgspec.Struct, frozen=True, kw_only=True):
    client_order_id: str
    symbol: str
    sentence: str


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """`sources` names what was compared with the chain."""

    session: str
    sources: tuple[str, ...]
    chain_orders: int
    differences: tuple[OrderDifference, ...]


def session_messages(folder: Path, session: str) -> Iterator[tuple[int, JsonMapping]]:
    """(index, message fields) of a session's records, of a chain verified before."""
    needle = f'"session":"{session}"'.encode()
    for index, line in enumerate(whole_lines(folder)):
        if needle in line:
            message = msgspec.json.decode(line)["payload"].get("message")
            if message and message.get("session") == session:
                yield index, message


def chain_orders(messages: Iterable[JsonMapping]) -> dict[str, ChainOrder]:
    """Every order of a session by its id at the broker."""
    orders: dict[str, ChainOrder] = {}
    for message in messages:
        data = msgspec.json.decode(message["data"])
        name = data.get("client_order_id")
        if not name:
            continue
        order = orders.setdefault(
            name, ChainOrder(client_order_id=name, symbol=data.get("symbol", ""))
        )
        _apply(order, message["type"], data)
    return orders


def _apply(order: ChainOrder, kind: str, data: JsonMapping) -> None:
    order.decision_id = data.get("decision_id") or order.decision_id
    if kind == m.OrderApproved.__name__:
        order.approved = True
    elif kind in SUBMITTED:
        order.submitted = True
        # A protection's authority is the approval of the entry it protects.
        order.approved = order.approved or kind == m.ProtectionPlaced.__name__
    elif kind == m.OrderFilled.__name__:
        order.filled = Decimal(data["cumulative_qty"])
    elif kind == m.OrderEnded.__name__:
        order.ending = data["ending"]
        order.filled = max(order.filled, Decimal(data["filled_qty"]))


def compare_broker(
    orders: Mapping[str, ChainOrder], broker: Iterable[JsonMapping], session: str
) -> Iterator[OrderDifference]:
    """`broker` are its orders in the wire form of Alpaca; those of other days are passed over."""
    seen = set()
    for row in broker:
        name, symbol = str(row.get("client_order_id", "")), str(row.get("symbol", ""))
        of_day = str(row.get("submitted_at") or row.get("created_at") or "").startswith(session)
        if not is_ours(name) or (name not in orders and not of_day):
            continue
        seen.add(name)
        if name not in orders:
            yield OrderDifference(
                client_order_id=name, symbol=symbol, sentence="the chain does not know it"
            )
            continue
        order, filled = orders[name], _shares(row.get("filled_qty"))
        if not order.approved:
            yield OrderDifference(
                client_order_id=name, symbol=symbol, sentence="no approval of the gate is known"
            )
        if filled != order.filled:
            sentence = f"{filled} shares filled at the broker, {order.filled} in the chain"
            yield OrderDifference(client_order_id=name, symbol=symbol, sentence=sentence)
    for name, order in orders.items():
        if order.submitted and name not in seen:
            yield OrderDifference(
                client_order_id=name, symbol=order.symbol, sentence="the broker does not list it"
            )


def _shares(text: object) -> Decimal:
    try:
        return Decimal(str(text or 0))
    except InvalidOperation:
        raise UserError(f"The broker's list has {text!r} for a number of shares.") from None


def compare_journal(orders: Mapping[str, ChainOrder], journal: Path) -> Iterator[OrderDifference]:
    """The executor's SQLite file, opened for reading only. Raises UserError if it is none."""
    try:
        store = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
        try:
            rows = store.execute("SELECT idempotency_key, state FROM orders").fetchall()
        finally:
            store.close()
    except sqlite3.Error as error:
        raise UserError(f"The journal {journal} cannot be read: {error}.") from error
    states = dict(rows)
    for name, order in orders.items():
        if order.submitted and order.decision_id and name not in states:
            yield OrderDifference(
                client_order_id=name, symbol=order.symbol, sentence="the journal does not know it"
            )
        if order.ending and states.get(name) in ("sending", "taken"):
            sentence = f"ended in the chain ({order.ending}), still {states[name]} in the journal"
            yield OrderDifference(client_order_id=name, symbol=order.symbol, sentence=sentence)


def reconcile(
    folder: Path,
    session: str,
    *,
    broker: Iterable[JsonMapping] | None = None,
    journal: Path | None = None,
) -> Reconciliation:
    """Of a chain verified before. Raises UserError if a source cannot be read."""
    orders = chain_orders(message for _, message in session_messages(folder, session))
    differences: list[OrderDifference] = []
    sources = []
    if broker is not None:
        sources.append("broker")
        differences += compare_broker(orders, broker, session)
    if journal is not None:
        sources.append("journal")
        differences += compare_journal(orders, journal)
    return Reconciliation(
        session=session,
        sources=tuple(sources),
        chain_orders=len(orders),
        differences=tuple(differences),
    )
