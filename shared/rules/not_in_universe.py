"""Refuses an entry in a symbol outside the universe that the settings and the bars name."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.NOT_IN_UNIVERSE
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    """None to set: the universe has a table of its own."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.in_universe:
        return None
    return Denial(reason=REASON, detail=f"{intent.symbol} is not in the universe")
