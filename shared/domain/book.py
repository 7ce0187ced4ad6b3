"""The gate's book: what is held, reserved and spent, and what may still be. Frozen; every change is a new book.

Used by the gate and by the backtest's policy pass. Cash moves only when a scan is settled or the account is seen, so
that a verdict never depends on when a fill happened to arrive.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec

from shared.domain.errors import InvariantBroken
from shared.schemas.values import Direction, Purpose, Side, TradingState, Value

RATE_WINDOW = dt.timedelta(minutes=1)


class Position(Value, frozen=True, kw_only=True):
    """`qty` counts shares and is positive for shorts too; `average_price` is what they were opened at."""

    strategy: str
    direction: Direction
    qty: int
    average_price: Decimal
    entry_session: dt.date


class Reservation(Value, frozen=True, kw_only=True):
    """Money and room set aside for one approved order until its scan is settled."""

    scan_id: str
    signal_id: str
    symbol: str
    strategy: str
    direction: Direction
    side: Side
    purpose: Purpose
    qty: int
    limit_price: Decimal
    filled_qty: int = 0
    filled_notional: Decimal = Decimal(0)
    ended: bool = False

    @property
    def opens(self) -> bool:
        return self.purpose is Purpose.ENTRY

    @property
    def notional(self) -> Decimal:
        return self.qty * self.limit_price


class Attempt(Value, frozen=True, kw_only=True):
    """How often a wish was tried. `over`: it ended for certain without a fill, so a later slot may try again."""

    number: int
    first_slot_at: dt.datetime
    slot_at: dt.datetime
    over: bool


class Book(Value, frozen=True, kw_only=True):
    """`used` is the session's budget spent and reserved; `drifted` are symbols that only the operator frees."""

    session: dt.date | None = None
    used: Decimal = Decimal(0)
    cash: Decimal = Decimal(0)
    equity: Decimal = Decimal(0)
    peak_equity: Decimal = Decimal(0)
    session_equity: Decimal = Decimal(0)
    trading_state: TradingState = TradingState.ACTIVE
    why: str = ""
    approved_at: tuple[dt.datetime, ...] = ()
    positions: dict[str, Position] = {}
    reservations: dict[str, Reservation] = {}
    attempts: dict[str, Attempt] = {}
    drifted: dict[str, bool] = {}

    @property
    def open_symbols(self) -> set[str]:
        """Held, or on the way to be."""
        return {*self.positions, *(held.symbol for held in self.reservations.values() if held.opens)}

    @property
    def exposure(self) -> Decimal:
        """Dollars in positions at cost, and reserved for entries."""
        held = sum((p.qty * p.average_price for p in self.positions.values()), Decimal(0))
        waiting = (r.notional - r.filled_qty * r.limit_price for r in self.reservations.values() if r.opens)
        return held + sum(waiting, Decimal(0))


def roll_session(book: Book, session: dt.date) -> Book:
    """A new session: budget and attempts begin anew. Nothing moves when it is the same one, or an earlier."""
    if book.session is not None and session <= book.session:
        return book
    return msgspec.structs.replace(
        book, session=session, used=Decimal(0), attempts={}, session_equity=book.equity, approved_at=()
    )


def reserve(book: Book, client_order_id: str, reservation: Reservation, at: dt.datetime) -> Book:
    """Set aside what an approval may cost; only entries cost budget and cash."""
    if client_order_id in book.reservations:
        raise InvariantBroken(f"{client_order_id} was reserved twice")
    cost = reservation.notional if reservation.opens else Decimal(0)
    recent = tuple(moment for moment in book.approved_at if at - moment < RATE_WINDOW)
    return msgspec.structs.replace(
        book,
        used=book.used + cost,
        cash=book.cash - cost,
        approved_at=(*recent, at),
        reservations={**book.reservations, client_order_id: reservation},
    )


def fill(book: Book, client_order_id: str, *, qty: int, price: Decimal) -> Book:
    """Count a fill against its reservation; an order unknown here (protection) has none."""
    held = book.reservations.get(client_order_id)
    if held is None:
        return book
    if held.filled_qty + qty > held.qty:
        raise InvariantBroken(f"{client_order_id} filled {held.filled_qty + qty} of {held.qty}")
    counted = msgspec.structs.replace(
        held, filled_qty=held.filled_qty + qty, filled_notional=held.filled_notional + qty * price
    )
    return msgspec.structs.replace(book, reservations={**book.reservations, client_order_id: counted})


def move_position(book: Book, symbol: str, *, strategy: str, change: int, price: Decimal, session: dt.date) -> Book:
    """Add a signed number of shares to a position; back to zero, it is gone."""
    held = book.positions.get(symbol)
    before = 0 if held is None else held.qty * (1 if held.direction is Direction.LONG else -1)
    after = before + change
    positions = {name: position for name, position in book.positions.items() if name != symbol}
    if after:
        grows = abs(after) > abs(before)
        cost = abs(before) * (held.average_price if held else Decimal(0)) + abs(change) * price
        positions[symbol] = Position(
            strategy=held.strategy if held else strategy,
            direction=Direction.LONG if after > 0 else Direction.SHORT,
            qty=abs(after),
            average_price=cost / abs(after) if grows or held is None else held.average_price,
            entry_session=held.entry_session if held else session,
        )
    return msgspec.structs.replace(book, positions=positions)


def end(book: Book, client_order_id: str) -> Book:
    """The order is terminal: what comes of it is settled with its scan."""
    held = book.reservations.get(client_order_id)
    if held is None:
        return book
    attempts = book.attempts
    if held.filled_qty == 0 and held.signal_id in attempts:
        over = msgspec.structs.replace(attempts[held.signal_id], over=True)
        attempts = {**attempts, held.signal_id: over}
    ended = msgspec.structs.replace(held, ended=True)
    reservations = {**book.reservations, client_order_id: ended}
    return msgspec.structs.replace(book, reservations=reservations, attempts=attempts)


def settle_scan(book: Book, scan_id: str) -> Book:
    """Give back what was not filled, and let cash move by what was; price improvement is not budget again."""
    used, cash = book.used, book.cash
    kept: dict[str, Reservation] = {}
    for name, held in book.reservations.items():
        if held.scan_id != scan_id or not held.ended:
            kept[name] = held
        elif held.opens:
            used -= (held.qty - held.filled_qty) * held.limit_price
            cash += held.notional - held.filled_notional
        else:
            cash += held.filled_notional if held.side is Side.SELL else -held.filled_notional
    return msgspec.structs.replace(book, used=used, cash=cash, reservations=kept)


def see_account(book: Book, *, cash: Decimal, equity: Decimal) -> Book:
    """The broker's word on cash and equity, less what is still reserved here."""
    waiting = sum((r.notional - r.filled_notional for r in book.reservations.values() if r.opens), Decimal(0))
    first = book.session_equity == 0
    return msgspec.structs.replace(
        book,
        cash=cash - waiting,
        equity=equity,
        peak_equity=max(book.peak_equity, equity),
        session_equity=equity if first else book.session_equity,
    )
