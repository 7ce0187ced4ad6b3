"""Refuses an entry that would bring the dollars in positions and on the way above the limit."""

from decimal import Decimal

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas import fields as f
from shared.schemas.values import Reason, Value

REASON = Reason.MAX_EXPOSURE
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    maximum: f.Budget = Decimal(10000)


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if book.exposure + intent.notional <= limits.maximum:
        return None
    return Denial(
        reason=REASON,
        detail=f"{book.exposure} at work, {intent.notional} more, {limits.maximum} allowed",
    )
