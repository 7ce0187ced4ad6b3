"""Refuses what the broker's buying power does not cover, however much cash there seems to be."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.INSUFFICIENT_CASH
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.notional <= book.buying_power:
        return None
    sentence = f"{intent.notional} needed, {book.buying_power} of buying power left"
    return Denial(reason=REASON, detail=sentence)
