"""The words of the trade: enums and small frozen values that messages are made of.

Imported by every room; imports nothing of ours. Money, prices and scores are Decimal (strings on
the wire).
"""

import datetime as dt
from enum import StrEnum
from typing import Annotated

import msgspec

from shared.schemas import fields as f
from shared.schemas.checks import field_checks, field_clips


class Mode(StrEnum):
    SIM = "sim"
    PAPER = "paper"
    LIVE = "live"


class Side(StrEnum):
    """What an order does."""

    BUY = "buy"
    SELL = "sell"


class Direction(StrEnum):
    """What a signal or a position is."""

    LONG = "long"
    SHORT = "short"

    @property
    def opens_with(self) -> Side:
        return Side.BUY if self is Direction.LONG else Side.SELL

    @property
    def closes_with(self) -> Side:
        return Side.SELL if self is Direction.LONG else Side.BUY


class Purpose(StrEnum):
    ENTRY = "entry"
    TIME_EXIT = "time_exit"
    SIGNAL_EXIT = "signal_exit"
    FLATTEN = "flatten"
    PROTECT = "protect"


class Slot(StrEnum):
    """The moments of a session at which a scan runs."""

    OPEN = "open"
    RETRY = "retry"
    CLOSE = "close"


class Stage(StrEnum):
    """The parts of a session, in order; in sim the broker is advanced through them."""

    START = "start"
    OPEN = "open"
    BAR = "bar"
    CLOSE = "close"
    MARK = "mark"


class Phase(StrEnum):
    """A scan is decided in two phases: entries only after every exit is terminal."""

    EXITS = "exits"
    ENTRIES = "entries"


class TradingState(StrEnum):
    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class OrderStatus(StrEnum):
    """The broker's statuses, spelled as Alpaca spells them, and the four of our own at the foot."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    DONE_FOR_DAY = "done_for_day"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REPLACED = "replaced"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    ACCEPTED = "accepted"
    PENDING_NEW = "pending_new"
    ACCEPTED_FOR_BIDDING = "accepted_for_bidding"
    STOPPED = "stopped"
    REJECTED = "rejected"
    SUSPENDED = "suspended"
    CALCULATED = "calculated"
    HELD = "held"
    RECEIVED = "received"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ABANDONED = "abandoned"


class Reason(StrEnum):
    """Why an intent was denied by us, in the order in which reasons are listed.

    A rule's file and its reason need not share a name: these are the words on the wire.
    """

    INVALID_PRICE_OR_QTY = "invalid_price_or_qty"
    PRICE_OUT_OF_BOUNDS = "price_out_of_bounds"
    SHORTS_DISABLED = "shorts_disabled"
    EXCEEDS_PER_ORDER_BUDGET = "exceeds_per_order_budget"
    EXCEEDS_DAILY_BUDGET = "exceeds_daily_budget"
    INVALID_PROTECTION = "invalid_protection"
    NOT_IN_UNIVERSE = "not_in_universe"
    NO_QUOTE = "no_quote"
    SIZE_ZERO = "size_zero"
    SYMBOL_HELD = "symbol_held"
    INVALIDATED_AT_OPEN = "invalidated_at_open"
    COLLAR = "collar"
    SPREAD = "spread"
    STALE_QUOTE = "stale_quote"
    STALE_SIGNAL = "stale_signal"
    MARKET_CLOSED = "market_closed"
    MAX_POSITIONS = "max_positions"
    MAX_EXPOSURE = "max_exposure"
    INSUFFICIENT_CASH = "insufficient_cash"
    ORDER_RATE = "order_rate"
    REPEATED_ENTRY = "repeated_entry"
    NOT_HELD = "not_held"
    REDUCING = "reducing"
    HALTED = "halted"
    CONFIG_PIN = "config_pin"


class Ending(StrEnum):
    """Why an order ended; every approval has exactly one."""

    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    ABANDONED = "abandoned"
    NOT_SENT = "not_sent"
    HALTED = "halted"


class Value(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A frozen value. Raises ValueError if a decimal or an instant is out of its field's range."""

    def __post_init__(self) -> None:
        for field, check in field_checks(type(self)):
            why = check(getattr(self, field))
            if why:
                raise ValueError(f"{field} {why}")
        for field, clip in field_clips(type(self)):
            texts = getattr(self, field)
            clipped = clip(texts)
            if clipped != texts:
                msgspec.structs.force_setattr(self, field, clipped)


class Bar(Value, frozen=True, kw_only=True):
    """One symbol's session; prices in dollars."""

    open: f.Price
    high: f.Price
    low: f.Price
    close: f.Price


class Quote(Value, frozen=True, kw_only=True):
    """What a symbol could be sold and bought for at an instant; 0: nobody stands there."""

    symbol: f.Symbol
    bid: f.PriceOrZero
    ask: f.PriceOrZero
    at: dt.datetime


class Signal(Value, frozen=True, kw_only=True):
    """A strategy wants to open at the next session's open; found at the close of `session`.

    `stop` and `target` are as the strategy computed them; the gate judges whether they can be.
    """

    session: dt.date
    symbol: f.Symbol
    strategy: f.StrategyName
    direction: Direction
    reference_price: f.PriceOrZero
    stop: f.Level
    target: f.Level | None
    time_stop_bars: f.Count
    score: f.Number
    reason: f.Text
    indicators: Annotated[dict[f.Word, f.Number], msgspec.Meta(max_length=32)] = {}


class Exit(Value, frozen=True, kw_only=True):
    """A held position that is due to be closed."""

    symbol: f.Symbol
    strategy: f.StrategyName
    direction: Direction
    purpose: Purpose
    entry_session: dt.date
    bars_held: f.Count


class Protection(Value, frozen=True, kw_only=True):
    """What must rest at the broker for as long as the position lives."""

    stop: f.Price
    target: f.Price | None
    time_stop_bars: f.TimeStopBars


class Holding(Value, frozen=True, kw_only=True):
    """A position as the broker reports it; qty is negative for a short and may be a fraction."""

    symbol: f.ForeignName
    qty: f.Shares
    average_price: f.Money


class TradingSession(Value, frozen=True, kw_only=True):
    """One day of trading with its hours."""

    session: dt.date
    opens_at: dt.datetime
    closes_at: dt.datetime


class MarketView(Value, frozen=True, kw_only=True):
    """The market as the broker reports it: its clock, and its sessions from `first` to `last`."""

    at: dt.datetime
    is_open: bool
    first: dt.date
    last: dt.date
    sessions: Annotated[tuple[TradingSession, ...], msgspec.Meta(max_length=1_000)]


class ScanRef(Value, frozen=True, kw_only=True):
    """Which scan: id, session, slot, and up to where executions must be counted before it."""

    id: f.Id
    session: dt.date
    slot: Slot
    slot_at: dt.datetime
    closes_at: dt.datetime
    last_completed: dt.date
    executions_seq: f.Sequence = 0


class Message(Value, frozen=True, kw_only=True):
    """What stands in an envelope's `data`; its type is the class's name."""
