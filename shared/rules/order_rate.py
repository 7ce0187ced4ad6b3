"""Refuses more approvals within a minute than allowed; exits count, but are never refused."""

from shared.domain.risk.book import RATE_WINDOW, Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas import fields as f
from shared.schemas.values import Reason, Value

REASON = Reason.ORDER_RATE
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    per_minute: f.Count = 30


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    recent = sum(intent.now - moment < RATE_WINDOW for moment in book.approved_at)
    if recent < limits.per_minute:
        return None
    return Denial(reason=REASON, detail=f"{recent} in the last minute, {limits.per_minute} allowed")
