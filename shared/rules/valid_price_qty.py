"""Refuses a price or a quantity that no order can have; `minimum_size` refuses zero shares."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas import fields as f
from shared.schemas.values import Reason, Value

REASON = Reason.INVALID_PRICE_OR_QTY
JUDGES_EXITS = True


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    price = intent.limit_price
    is_priced = price is None or f.MIN_PRICE <= price <= f.MAX_PRICE
    if 0 <= intent.qty <= f.MAX_SHARES and is_priced:
        return None
    return Denial(reason=REASON, detail=f"{intent.qty} at {intent.limit_price}")
