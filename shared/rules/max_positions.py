"""Refuses to hold more positions than allowed; entries on the way count."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas import fields as f
from shared.schemas.values import Reason, Value

REASON = Reason.MAX_POSITIONS
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    maximum: f.Count = 10


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    symbols = book.open_symbols
    if intent.symbol in symbols or len(symbols) < limits.maximum:
        return None
    return Denial(reason=REASON, detail=f"{len(symbols)} open, {limits.maximum} allowed")
