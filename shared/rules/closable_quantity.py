"""Refuses to close more than is held and not already on its way out."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Purpose, Reason, Value

REASON = Reason.NOT_HELD
JUDGES_EXITS = True
EXIT_PURPOSES = frozenset({Purpose.TIME_EXIT, Purpose.SIGNAL_EXIT, Purpose.FLATTEN})
"""Not PROTECT: it passes a kill and never expires, so only an approved entry may carry it."""


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.opens:
        return None
    if intent.purpose not in EXIT_PURPOSES:
        return Denial(reason=REASON, detail=f"{intent.purpose} is not an exit")
    position, closable = book.positions.get(intent.symbol), book.closable(intent.symbol)
    if (
        position is not None
        and position.direction is intent.direction
        and 0 < intent.qty <= closable
    ):
        return None
    return Denial(reason=REASON, detail=f"{intent.qty} shares to close, {closable} closable")
