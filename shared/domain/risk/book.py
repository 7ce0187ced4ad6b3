"""The gate's book: what is held, reserved, spent and tried. Frozen; every change is a new book.

Used by the gate and by the backtest's policy pass. Cash moves only when a scan is settled or the
account is seen, so that a verdict never depends on when a fill happened to arrive.
"""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

from msgspec.structs import replace

from shared.domain.errors import InvariantBroken
from shared.schemas.values import Direction, Ending, Purpose, Side, TradingState, Value

RATE_WINDOW = dt.timedelta(minutes=1)
COST_STEP = Decimal("0.0001")
TRIED_IN_VAIN = frozenset({Ending.CANCELED, Ending.EXPIRED, Ending.NOT_SENT, Ending.HALTED})
"""Endings after which an unfilled intent may be tried at a later slot; the others are final."""


class Position(Value, frozen=True, kw_only=True):
    """One symbol held; `qty` is positive for shorts too, `average_price` what it was opened at."""

    strategy: str
    direction: Direction
    qty: int
    average_price: Decimal
    entry_session: dt.date

    @property
    def signed_qty(self) -> int:
        return self.qty if self.direction is Direction.LONG else -self.qty


class Reservation(Value, frozen=True, kw_only=True):
    """Money and room set aside for one approved order until its scan is settled."""

    scan_id: str
    session: dt.date
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
    expires_at: dt.datetime | None = None

    @property
    def opens(self) -> bool:
        return self.purpose is Purpose.ENTRY

    @property
    def cost(self) -> Decimal:
        """What its approval took from budget and cash: exits cost nothing."""
        return self.qty * self.limit_price if self.opens else Decimal(0)

    @property
    def unfilled_notional(self) -> Decimal:
        return (self.qty - self.filled_qty) * self.limit_price

    @property
    def cash_to_come(self) -> Decimal:
        """By how much cash moves when this is settled as it stands."""
        return self.cost + (
            self.filled_notional if self.side is Side.SELL else -self.filled_notional
        )

    @property
    def power_to_come(self) -> Decimal:
        """The same for buying power: a short sale uses it, buying one back gives none."""
        if self.opens:
            return self.cost - self.filled_notional
        return self.filled_notional if self.side is Side.SELL else Decimal(0)


class Attempt(Value, frozen=True, kw_only=True):
    """How often an intent was tried, and how often the gate was asked for it, in this session.

    `over`: the last try ended for certain without a fill and without a refusal, so a later slot may
    try again.
    """

    number: int
    first_slot_at: dt.datetime
    slot_at: dt.datetime
    over: bool = False
    asked: int = 1


class Book(Value, frozen=True, kw_only=True):
    """All that the gate believes about money and positions.

    `used` is the session's budget spent and reserved; `drifted` are symbols that only the operator
    frees. `external` is what the account holds besides our positions, by symbol; `unreadable` names
    positions of it that made no sense. `last_cash` and `last_equity` are the broker's when last
    seen, `traded_cash` what our fills have moved since.
    """

    session: dt.date | None = None
    used: Decimal = Decimal(0)
    cash: Decimal = Decimal(0)
    buying_power: Decimal = Decimal(0)
    equity: Decimal = Decimal(0)
    peak_equity: Decimal = Decimal(0)
    session_equity: Decimal = Decimal(0)
    last_cash: Decimal | None = None
    last_equity: Decimal = Decimal(0)
    traded_cash: Decimal = Decimal(0)
    blocked: bool = False
    trading_state: TradingState = TradingState.ACTIVE
    why: str = ""
    approved_at: tuple[dt.datetime, ...] = ()
    positions: dict[str, Position] = {}
    reservations: dict[str, Reservation] = {}
    attempts: dict[str, Attempt] = {}
    drifted: dict[str, bool] = {}
    external: dict[str, Decimal] = {}
    unreadable: tuple[str, ...] = ()

    @property
    def open_symbols(self) -> set[str]:
        """Held, or on the way to be."""
        return {
            *self.positions,
            *(held.symbol for held in self.reservations.values() if held.opens),
        }

    def has(self, symbol: str) -> bool:
        """Whether it is held, or on the way to be."""
        return symbol in self.positions or any(
            r.symbol == symbol and r.opens for r in self.reservations.values()
        )

    @property
    def exposure(self) -> Decimal:
        """Dollars in positions at cost, and reserved for entries."""
        held = sum((p.qty * p.average_price for p in self.positions.values()), Decimal(0))
        entries = (r for r in self.reservations.values() if r.purpose is Purpose.ENTRY)
        return held + sum(((r.qty - r.filled_qty) * r.limit_price for r in entries), Decimal(0))

    def leaving(self, symbol: str) -> int:
        """Shares of a symbol that approved exits may still close."""
        return sum(
            r.qty - r.filled_qty
            for r in self.reservations.values()
            if r.symbol == symbol and not r.opens and not r.ended
        )

    def closable(self, symbol: str) -> int:
        """Shares of a symbol that are held and not already on their way out."""
        position = self.positions.get(symbol)
        return max(0, position.qty - self.leaving(symbol)) if position else 0


# --- a session, an approval -----------------------------------------------------------------------


def roll_session(book: Book, session: dt.date) -> Book:
    """Begin a session with a fresh budget and no attempts; an earlier one is ignored."""
    if book.session is not None and session <= book.session:
        return book
    settled = settle(book, [name for name, held in book.reservations.items() if held.ended])
    return replace(
        settled, session=session, used=Decimal(0), attempts={}, session_equity=book.equity
    )


def reserve(book: Book, client_order_id: str, reservation: Reservation, at: dt.datetime) -> Book:
    """Set aside what an approval may cost; only entries cost budget and cash."""
    if client_order_id in book.reservations:
        raise InvariantBroken(f"{client_order_id} was reserved twice")
    recent = tuple(moment for moment in book.approved_at if at - moment < RATE_WINDOW)
    return replace(
        book,
        used=book.used + reservation.cost,
        cash=book.cash - reservation.cost,
        buying_power=book.buying_power - reservation.cost,
        approved_at=(*recent, at),
        reservations={**book.reservations, client_order_id: reservation},
    )


def record_attempt(book: Book, signal_id: str, attempt: Attempt) -> Book:
    return replace(book, attempts={**book.attempts, signal_id: attempt})


# --- what became of it ----------------------------------------------------------------------------


def apply_fill(book: Book, client_order_id: str, *, qty: int, price: Decimal, opens: bool) -> Book:
    """Count a fill against its reservation; an entry's fill after settlement still uses budget."""
    held = book.reservations.get(client_order_id)
    if held is None:
        return replace(book, used=book.used + qty * price) if opens else book
    counted = replace(
        held, filled_qty=held.filled_qty + qty, filled_notional=held.filled_notional + qty * price
    )
    return replace(book, reservations={**book.reservations, client_order_id: counted})


def move_position(
    book: Book, symbol: str, *, strategy: str, change: int, price: Decimal, session: dt.date
) -> Book:
    """Add a signed number of shares to a position; back to zero, it is gone."""
    held = book.positions.get(symbol)
    before = held.signed_qty if held else 0
    after = before + change
    positions = {name: position for name, position in book.positions.items() if name != symbol}
    if held and before * after > 0:
        positions[symbol] = replace(
            held, qty=abs(after), average_price=_average(held, change, price)
        )
    elif after:
        positions[symbol] = Position(
            strategy=strategy,
            direction=Direction.LONG if after > 0 else Direction.SHORT,
            qty=abs(after),
            average_price=price,
            entry_session=session,
        )
    return replace(book, positions=positions)


def rescale_position(book: Book, symbol: str, *, qty: int, new: Decimal, old: Decimal) -> Book:
    """Follow a split: `qty` signed shares now, `new` for `old`; what they cost stays, per share."""
    held = book.positions.get(symbol)
    if held is None:
        return book
    others = {name: position for name, position in book.positions.items() if name != symbol}
    price = (held.average_price * old / new).quantize(COST_STEP)
    scaled = {symbol: replace(held, qty=abs(qty), average_price=price)} if qty else {}
    return replace(book, positions={**others, **scaled})


def rename_position(book: Book, symbol: str, new_symbol: str) -> Book:
    held = book.positions.get(symbol)
    if held is None:
        return book
    others = {name: position for name, position in book.positions.items() if name != symbol}
    return replace(book, positions={**others, new_symbol: held})


def _average(held: Position, change: int, price: Decimal) -> Decimal:
    """The average cost after more shares were added; taking some away does not change it."""
    if held.signed_qty * change < 0:
        return held.average_price
    cost = held.qty * held.average_price + abs(change) * price
    return (cost / (held.qty + abs(change))).quantize(COST_STEP)


def release(book: Book, client_order_id: str, ending: Ending) -> Book:
    """Note that an order is terminal; its money returns with its scan, or now if that is over."""
    held = book.reservations.get(client_order_id)
    if held is None:
        return book
    attempt = book.attempts.get(held.signal_id)
    if attempt and held.filled_qty == 0 and ending in TRIED_IN_VAIN:
        book = record_attempt(book, held.signal_id, replace(attempt, over=True))
    book = replace(
        book, reservations={**book.reservations, client_order_id: replace(held, ended=True)}
    )
    return book if held.session == book.session else settle(book, [client_order_id])


def settle_scan(book: Book, scan_id: str) -> Book:
    """Give back what was not filled and move cash by what was; price improvement stays spent."""
    return settle(
        book,
        [
            name
            for name, held in book.reservations.items()
            if held.scan_id == scan_id and held.ended
        ],
    )


def settle(book: Book, names: Iterable[str]) -> Book:
    """Close reservations; what an earlier session did not spend is not given to this one."""
    done = set(names)
    settled = [book.reservations[name] for name in done]
    unspent = (
        held.unfilled_notional for held in settled if held.opens and held.session == book.session
    )
    return replace(
        book,
        used=book.used - sum(unspent, Decimal(0)),
        cash=book.cash + sum((held.cash_to_come for held in settled), Decimal(0)),
        buying_power=book.buying_power + sum((held.power_to_come for held in settled), Decimal(0)),
        reservations={name: held for name, held in book.reservations.items() if name not in done},
    )


# --- may it trade ---------------------------------------------------------------------------------


def see_drift(book: Book, symbols: Iterable[str]) -> Book:
    """Symbols on which we and the broker disagree: no entries until the operator has looked."""
    return replace(book, drifted={**book.drifted, **dict.fromkeys(symbols, True)})


def acknowledge_drift(book: Book, symbol: str) -> Book:
    return replace(book, drifted={name: True for name in book.drifted if name != symbol})


def reduce_only(book: Book, why: str) -> Book:
    return replace(book, trading_state=TradingState.REDUCING, why=why)


def activate(book: Book) -> Book:
    """All that could trip a breaker begins anew, else the same breach would fire at once."""
    return replace(
        book,
        trading_state=TradingState.ACTIVE,
        why="",
        peak_equity=book.equity,
        session_equity=book.equity,
        attempts={name: replace(attempt, asked=1) for name, attempt in book.attempts.items()},
    )
