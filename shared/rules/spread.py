"""Refuses a quote that is crossed, locked, one-sided or too wide."""

from decimal import Decimal

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas import fields as f
from shared.schemas.values import Reason, Value

REASON = Reason.SPREAD
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    maximum_fraction: f.Fraction = Decimal("0.01")


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    quote = intent.quote
    if quote is None:
        return None
    if 0 < quote.bid < quote.ask and quote.ask - quote.bid <= limits.maximum_fraction * quote.ask:
        return None
    return Denial(reason=REASON, detail=f"bid {quote.bid}, ask {quote.ask}")
