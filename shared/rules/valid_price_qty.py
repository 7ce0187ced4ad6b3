"""Refuses a price that is not above zero and a negative quantity; `minimum_size` refuses zero."""

from __future__ import annotations

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.INVALID_PRICE_OR_QTY
JUDGES_EXITS = True


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.qty >= 0 and (intent.limit_price is None or intent.limit_price > 0):
        return None
    return Denial(reason=REASON, detail=f"{intent.qty} at {intent.limit_price}")
