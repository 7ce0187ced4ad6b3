"""Refuses a quote that is too old, or from the future."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas import fields as f
from shared.schemas.values import Reason, Value

REASON = Reason.STALE_QUOTE
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    maximum_age_seconds: f.Seconds = 5


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.quote is None:
        return None
    age = (intent.now - intent.quote.at).total_seconds()
    if -limits.maximum_age_seconds <= age <= limits.maximum_age_seconds:
        return None
    return Denial(reason=REASON, detail=f"{age:.1f} s old, {limits.maximum_age_seconds} s allowed")
