"""Refuses a limit too far from the quote, or from the close that gave the signal."""

from decimal import Decimal

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas import fields as f
from shared.schemas.values import Reason, Value

REASON = Reason.COLLAR
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    quote_fraction: f.Fraction = Decimal("0.03")
    close_fraction: f.Fraction = Decimal("0.10")


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    limit, price, close = intent.limit_price, intent.quote_price, intent.last_close
    if limit is None or price is None:
        return None
    if abs(limit - price) > limits.quote_fraction * price:
        return Denial(reason=REASON, detail=f"limit {limit} against a quote of {price}")
    if close is not None and abs(limit - close) > limits.close_fraction * close:
        return Denial(reason=REASON, detail=f"limit {limit} against a last close of {close}")
    return None
