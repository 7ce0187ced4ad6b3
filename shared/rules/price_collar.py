"""Refuses a limit too far from the quote, or from the close that gave the signal."""

from __future__ import annotations

from decimal import Decimal

from shared.domain.book import Book
from shared.domain.intents import Denial, Intent
from shared.schemas.values import Reason, Side, Value

REASON = Reason.COLLAR
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    quote_fraction: Decimal = Decimal("0.03")
    close_fraction: Decimal = Decimal("0.10")


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.limit_price is None or intent.quote is None:
        return None
    price = intent.quote.ask if intent.side is Side.BUY else intent.quote.bid
    if abs(intent.limit_price - price) > limits.quote_fraction * price:
        return Denial(reason=REASON, detail=f"limit {intent.limit_price} against a quote of {price}")
    close = intent.last_close
    if close is not None and abs(intent.limit_price - close) > limits.close_fraction * close:
        return Denial(reason=REASON, detail=f"limit {intent.limit_price} against a last close of {close}")
    return None
