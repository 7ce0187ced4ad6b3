"""What we hold and what it brought: lots first in, first out; one position a symbol. Pure.

Called by the executor's handlers for every fill and adjustment. It books what happened, whether it
was wanted or not: a sale of more than is held leaves a short position, which its caller must
notice.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from msgspec.structs import replace

from shared.domain.errors import InvariantBroken
from shared.domain.trading.orders import PRICE_STEP, ProtectionForm
from shared.schemas.values import Protection, Value


class Lot(Value, frozen=True, kw_only=True):
    """Shares of one fill still held; qty is negative for a short."""

    qty: int
    price: Decimal
    session: dt.date


class HeldLots(Value, frozen=True, kw_only=True, omit_defaults=True):
    """One symbol held, for the strategy that opened it.

    `parent` is the entry whose approval signed `protection`; `protections` counts those placed so
    far. `mark` is the broker's last closing price, `price` the last it has shown; `asset` is its
    name of the share whatever the symbol.

    `form`: what the next protection may be at most (None: all the plan has). `setbacks` counts
    protections that were refused or ended unasked, the last at `setback_at`. `exit_reason`: why it
    is to be sold now. `blocked`: why no protection can be placed until something changes.

    `opened_at` is the broker's time of the first fill, `foreign` the net shares that orders of
    others have traded in the symbol since, as far as accounted for. `applied` names the corporate
    actions it has followed.
    """

    symbol: str
    strategy: str
    lots: tuple[Lot, ...]
    parent: str
    decision_id: str
    correlation_id: str
    protection: Protection | None
    protections: int = 0
    mark: Decimal | None = None
    price: Decimal | None = None
    asset: str = ""
    form: ProtectionForm | None = None
    setbacks: int = 0
    setback_at: dt.datetime | None = None
    exit_reason: str = ""
    blocked: str = ""
    opened_at: dt.datetime | None = None
    foreign: Decimal = Decimal(0)
    applied: tuple[str, ...] = ()

    @property
    def qty(self) -> int:
        return sum(lot.qty for lot in self.lots)

    @property
    def cost(self) -> Decimal:
        return sum((lot.qty * lot.price for lot in self.lots), Decimal(0))


@dataclass(frozen=True, slots=True)
class Booking:
    """The lots after a fill, the profit it realised in dollars, and how many shares it closed."""

    lots: tuple[Lot, ...]
    realised: Decimal
    closed: int


def book(lots: tuple[Lot, ...], *, qty: int, price: Decimal, session: dt.date) -> Booking:
    """Book `qty` shares bought (positive) or sold (negative): opposite lots close, oldest first.

    Raises InvariantBroken if `qty` is 0 or `price` is negative.
    """
    if qty == 0 or price < 0:
        raise InvariantBroken(f"{qty} shares at {price} cannot be booked")
    kept, left, realised = list(lots), qty, Decimal(0)
    while left and kept and kept[0].qty * left < 0:
        lot = kept.pop(0)
        closing = min(abs(lot.qty), abs(left)) * (1 if lot.qty > 0 else -1)
        realised += closing * (price - lot.price)
        left += closing
        if lot.qty != closing:
            kept.insert(0, replace(lot, qty=lot.qty - closing))
    if left:
        kept.append(Lot(qty=left, price=price, session=session))
    return Booking(tuple(kept), realised, abs(qty) - abs(left))


def rescale(lots: tuple[Lot, ...], ratio: Decimal) -> tuple[Lot, ...]:
    """The lots after a split: `ratio` shares for one, each at its price over `ratio`.

    Whole shares only: of a fraction nothing is kept, which the broker pays in cash.
    """
    before = after = 0
    kept = []
    for lot in lots:
        before += lot.qty
        total = int(before * ratio)
        if total != after:
            price = (lot.price / ratio).quantize(PRICE_STEP).normalize()
            kept.append(replace(lot, qty=total - after, price=price))
        after = total
    return tuple(kept)
