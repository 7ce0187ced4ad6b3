"""Refuses to trade a symbol that is not quoted on the side the order needs."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.NO_QUOTE
JUDGES_EXITS = True


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    return Denial(reason=REASON) if intent.quote_price is None else None
