"""Refuses a second position in a symbol, whatever the strategy or whoever has bought it."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.SYMBOL_HELD
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if book.has(intent.symbol):
        return Denial(reason=REASON)
    if intent.symbol in book.external:
        return Denial(reason=REASON, detail="the account holds shares of it that are not ours")
    if intent.symbol in book.unreadable:
        return Denial(reason=REASON, detail="the account's position in it cannot be read")
    return None
