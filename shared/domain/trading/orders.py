"""The life of one order as a pure state machine: received, sent, in flight or unknown, ended.

Called by the executor's handlers with what the broker says (OrderView). Fills only grow. It never
guesses: a status it does not know is `unknown`, an order the broker has not shown is looked for,
and what contradicts the picture is an `anomaly`.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from msgspec.structs import replace

from shared.schemas.values import Ending, OrderStatus, Phase, Protection, Purpose, Side, Slot, Value

ENDINGS: dict[OrderStatus, Ending] = {
    OrderStatus.FILLED: Ending.FILLED,
    OrderStatus.CANCELED: Ending.CANCELED,
    OrderStatus.EXPIRED: Ending.EXPIRED,
    OrderStatus.REPLACED: Ending.CANCELED,
    OrderStatus.REJECTED: Ending.REJECTED,
}
OURS = frozenset(
    {OrderStatus.RECEIVED, OrderStatus.SENDING, OrderStatus.UNKNOWN, OrderStatus.ABANDONED}
)
MISSES, MISSING_SECONDS, YOUNG_SECONDS = 3, 10.0, 15.0
"""A broker may show an order seconds after it has taken it: one "not found" proves nothing."""
FIRST_LOOK, LONGEST_LOOK = 0.5, 8.0
"""Seconds until the first look-up of an unknown order, and between later ones, doubling."""
PATIENT_LOOKS, LATER_LOOK = 12, 60.0
"""After so many look-ups (a minute) it has been reported; one a minute costs no rate limit."""
RESEND_SECONDS, LONGEST_RESEND = 1.0, 60.0
"""Pause before the second POST of a protection the broker does not know, doubled each time."""
PRICE_STEP = Decimal("0.000000001")
"""Average prices are kept to a billionth of a dollar, so that qty times price is the amount."""


class ProtectionForm(StrEnum):
    """How a protection is put to the broker, the fullest first.

    `market` is the stop that the market has passed already: the market order it would have become.
    """

    STOP_AND_TARGET = "stop_and_target"
    STOP = "stop"
    MARKET = "market"


RESTING_FORMS = (ProtectionForm.STOP_AND_TARGET, ProtectionForm.STOP)


class OrderView(Value, frozen=True, kw_only=True):
    """An order as the broker shows it. Of an OCO: both halves as one, filled by either.

    Quantities are the broker's own and may be fractions. `stop_lives`: it is, or has, a stop that
    can still trigger. `reported` is the broker's status word where `status` is `unknown`.
    """

    client_order_id: str
    broker_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    status: OrderStatus
    filled_qty: Decimal = Decimal(0)
    average_price: Decimal | None = None
    stop_lives: bool = False
    filled_at: dt.datetime | None = None
    submitted_at: dt.datetime | None = None
    reported: str = ""


class Order(Value, frozen=True, kw_only=True, omit_defaults=True):
    """One order of ours: approved by the gate, or (`protect`) derived from its approved `parent`.

    `number` is its place in the stream of orders; `refusal` says why it may not be sent, found when
    it arrived. `look_at` is when to ask the broker again; None: nobody need ask. `form` and
    `stop_lives` are a protection's, `stop_died`: without it while the order lived; `cancels` counts
    how often its end was asked for, since `cancel_since`. `reported_end`: its one terminal message
    has been published. Instants are wall clock, UTC.
    """

    client_order_id: str
    decision_id: str
    strategy: str
    symbol: str
    side: Side
    purpose: Purpose
    qty: int
    session: dt.date
    number: int = 0
    limit_price: Decimal | None = None
    protection: Protection | None = None
    scan_id: str = ""
    slot: Slot | None = None
    correlation_id: str = ""
    causation_id: str = ""
    expires_at: dt.datetime | None = None
    parent: str = ""
    counter: int = 0
    form: ProtectionForm | None = None
    stop_lives: bool = False
    stop_died: bool = False
    refusal: str = ""
    status: OrderStatus = OrderStatus.RECEIVED
    broker_order_id: str = ""
    filled_qty: int = 0
    filled_value: Decimal = Decimal(0)
    ending: Ending | None = None
    tries: int = 0
    not_before: dt.datetime | None = None
    sent_at: dt.datetime | None = None
    unknown_at: dt.datetime | None = None
    alarmed: bool = False
    look_at: dt.datetime | None = None
    looks: int = 0
    misses: int = 0
    missed_at: dt.datetime | None = None
    cancel_at: dt.datetime | None = None
    cancel_since: dt.datetime | None = None
    cancels: int = 0
    former_symbol: str = ""
    reported_end: bool = False

    @property
    def waits(self) -> bool:
        """Not sent yet, and not refused."""
        return self.status is OrderStatus.RECEIVED and self.ending is None

    @property
    def live(self) -> bool:
        return self.ending is None

    @property
    def was_sent(self) -> bool:
        return self.status is not OrderStatus.RECEIVED

    @property
    def rests(self) -> bool:
        """The broker has shown it in flight."""
        return self.live and self.was_sent and self.status not in OURS

    @property
    def remaining(self) -> int:
        return self.qty - self.filled_qty

    @property
    def journal_key(self) -> str:
        """One decision is one order; an entry's protections are numbered after it."""
        return f"{self.decision_id}/{self.counter}" if self.parent else self.decision_id

    @property
    def average_price(self) -> Decimal | None:
        return (
            (self.filled_value / self.filled_qty).quantize(PRICE_STEP).normalize()
            if self.filled_qty
            else None
        )

    @property
    def phase(self) -> Phase:
        return Phase.ENTRIES if self.purpose is Purpose.ENTRY else Phase.EXITS


@dataclass(frozen=True, slots=True)
class Fill:
    """`qty` more shares at `price`, so that all fills together cost what the broker says."""

    qty: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class OrderProgress:
    """An order after a look at the broker. `anomaly` says what can never be true, in a sentence."""

    order: Order
    fill: Fill | None = None
    ended: bool = False
    anomaly: str = ""


def status_of(word: str) -> OrderStatus:
    """Total: a word the broker has never used before, or one of our own, is `unknown`."""
    try:
        status = OrderStatus(word)
    except ValueError:
        return OrderStatus.UNKNOWN
    return OrderStatus.UNKNOWN if status in OURS else status


def difference(order: Order, view: OrderView) -> str:
    """Why the broker's order is not ours, "" if it is.

    A reducing order may be for fewer shares; a protection may be rescaled by the broker (a split).
    """
    reduces = order.purpose is not Purpose.ENTRY and not order.broker_order_id
    fewer = reduces and 0 < view.qty <= order.qty
    rescaled = order.purpose is Purpose.PROTECT and order.broker_order_id and view.qty > 0
    pairs = (
        ("client_order_id", order.client_order_id, view.client_order_id),
        ("symbol", order.symbol, _symbol_of(order, view)),
        ("side", order.side.value, view.side.value),
        ("qty", order.qty, order.qty if fewer or rescaled else view.qty),
        ("id", order.broker_order_id or view.broker_order_id, view.broker_order_id),
    )
    return "; ".join(
        f"{name} is {theirs}, not {ours}" for name, ours, theirs in pairs if ours != theirs
    )


def _symbol_of(order: Order, view: OrderView) -> str:
    """A share that was renamed may still be listed under its former symbol."""
    return order.symbol if view.symbol == order.former_symbol else view.symbol


def apply(order: Order, view: OrderView, *, at: dt.datetime) -> OrderProgress:
    """Apply what the broker shows. An ended order stays ended, but a late fill is still booked.

    Only whole shares are booked; a fraction is an anomaly.
    """
    if view.filled_qty < order.filled_qty:
        return OrderProgress(
            order,
            anomaly=f"{order.client_order_id} had {order.filled_qty} filled, now {view.filled_qty}",
        )
    fill = _fill(order, view)
    seen = replace(
        order,
        broker_order_id=view.broker_order_id,
        qty=int(view.qty),
        filled_qty=order.filled_qty + (fill.qty if fill else 0),
        filled_value=order.filled_value + (fill.qty * fill.price if fill else 0),
        stop_lives=view.stop_lives,
        stop_died=order.stop_died or _has_lost_its_stop(order, view),
        sent_at=order.sent_at or at,
        unknown_at=(order.unknown_at or at) if view.status is OrderStatus.UNKNOWN else None,
        misses=0,
        missed_at=None,
    )
    anomaly = _anomaly(order, view)
    if not order.live:
        return OrderProgress(seen, fill, anomaly=anomaly)
    ending = ENDINGS.get(view.status)
    if ending is None:
        return OrderProgress(_in_flight(seen, view.status, at), fill, anomaly=anomaly)
    ended = replace(seen, status=view.status, ending=ending, stop_lives=False, look_at=None)
    return OrderProgress(ended, fill, True, anomaly)


def _has_lost_its_stop(order: Order, view: OrderView) -> bool:
    rests = view.status not in ENDINGS and view.status is not OrderStatus.UNKNOWN
    return order.form in RESTING_FORMS and rests and not view.stop_lives


def _anomaly(order: Order, view: OrderView) -> str:
    """Said once, with the fill that brought it."""
    if int(view.filled_qty) == order.filled_qty:
        return ""
    if view.filled_qty > view.qty:
        return f"{order.client_order_id} filled {view.filled_qty} of {view.qty}"
    if view.filled_qty != view.filled_qty.to_integral_value() and view.status in ENDINGS:
        return f"{order.client_order_id} ended with {view.filled_qty} filled, a fraction of a share"
    return ""


def _fill(order: Order, view: OrderView) -> Fill | None:
    filled = int(view.filled_qty)
    qty = filled - order.filled_qty
    if qty <= 0 or view.average_price is None:
        return None
    value = filled * view.average_price - order.filled_value
    return Fill(qty, (value / qty).quantize(PRICE_STEP).normalize())


def _in_flight(order: Order, status: OrderStatus, at: dt.datetime) -> Order:
    """What rests until its day comes is not polled: the stream and the reconciliations tell."""
    settled = (
        order.purpose is Purpose.PROTECT
        and order.form is not ProtectionForm.MARKET
        and order.cancel_at is None
        and status is not OrderStatus.UNKNOWN
    )
    return _schedule_look(replace(order, status=status, look_at=None if settled else at), at)


def _schedule_look(order: Order, at: dt.datetime) -> Order:
    """Plan the next look-up; nothing ever shortens the pause of an order again."""
    if order.look_at is None:
        return order
    first = FIRST_LOOK if order.status is OrderStatus.UNKNOWN else FIRST_LOOK / 5
    longest = LONGEST_LOOK if order.looks < PATIENT_LOOKS else LATER_LOOK
    delay = min(longest, first * 2.0 ** min(order.looks, PATIENT_LOOKS))
    return replace(order, looks=order.looks + 1, look_at=at + dt.timedelta(seconds=delay))


def mark_unknown(order: Order, *, at: dt.datetime) -> Order:
    """Note that it was sent and nobody knows whether the broker has taken it."""
    unknown = replace(
        order,
        status=OrderStatus.UNKNOWN,
        sent_at=order.sent_at or at,
        unknown_at=order.unknown_at or at,
        look_at=at,
        looks=order.looks if order.unknown_at else 0,
    )
    return _schedule_look(unknown, at)


def look_later(order: Order, *, at: dt.datetime) -> Order:
    """Ask again after a look-up without an answer, later each time."""
    return _schedule_look(replace(order, look_at=at), at)


def look_now(order: Order, *, at: dt.datetime) -> Order:
    """Look it up now, because something is strange about it, unless a look-up is due already."""
    return order if order.look_at else replace(order, look_at=at)


def count_miss(order: Order, *, at: dt.datetime) -> Order:
    """The broker says there is no such order; believed after three times over ten seconds.

    An order younger than fifteen seconds is never given up.
    """
    known = order if order.status is OrderStatus.UNKNOWN else mark_unknown(order, at=at)
    missing = replace(known, misses=known.misses + 1, missed_at=known.missed_at or at)
    if _surely_missing(missing, at):
        return replace(missing, status=OrderStatus.ABANDONED, ending=Ending.ABANDONED, look_at=None)
    return look_later(missing, at=at) if known is order else missing


def _surely_missing(order: Order, at: dt.datetime) -> bool:
    since, sent = order.missed_at or at, order.sent_at or at
    return (
        order.misses >= MISSES
        and (at - since).total_seconds() >= MISSING_SECONDS
        and (at - sent).total_seconds() > YOUNG_SECONDS
    )


def end_unsent(order: Order, ending: Ending) -> Order:
    """End an order that has never been at the broker."""
    status = OrderStatus.REJECTED if ending is Ending.REJECTED else order.status
    return replace(order, ending=ending, status=status, look_at=None)


def delay(order: Order, *, until: dt.datetime, counted: bool) -> Order:
    """Send again later under the same id; the broker has surely not taken it."""
    return replace(order, not_before=until, tries=order.tries + counted)


def resend(order: Order, *, at: dt.datetime) -> Order:
    """Send a protection again under its id after the broker said it does not know it.

    At once the first time, then after a growing pause; the broker refuses a second one of an id.
    """
    pause = min(LONGEST_RESEND, RESEND_SECONDS * 2.0 ** (order.tries - 1)) if order.tries else 0.0
    return replace(
        order,
        status=OrderStatus.RECEIVED,
        look_at=None,
        tries=order.tries + 1,
        not_before=at + dt.timedelta(seconds=pause),
    )


def mark_canceling(order: Order, *, at: dt.datetime) -> Order:
    """Note that the broker was asked to cancel it; it is followed until it has ended."""
    return replace(
        order,
        cancel_at=at,
        cancel_since=order.cancel_since or at,
        cancels=order.cancels + 1,
        looks=order.looks if order.cancels else 0,
    )
