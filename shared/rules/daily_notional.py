"""Refuses an order that the session's budget no longer covers; the limit itself passes."""

from decimal import Decimal

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas import fields as f
from shared.schemas.values import Reason, Value

REASON = Reason.EXCEEDS_DAILY_BUDGET
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    maximum: f.Budget = Decimal(1000)


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if book.used + intent.notional <= limits.maximum:
        return None
    return Denial(
        reason=REASON, detail=f"{book.used} used, {intent.notional} more, {limits.maximum} allowed"
    )
