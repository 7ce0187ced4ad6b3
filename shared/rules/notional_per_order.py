"""Refuses an order worth more dollars than one order may be; the limit itself passes."""

from decimal import Decimal

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas import fields as f
from shared.schemas.values import Reason, Value

REASON = Reason.EXCEEDS_PER_ORDER_BUDGET
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    maximum: f.Budget = Decimal(75)


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.notional <= limits.maximum:
        return None
    return Denial(reason=REASON, detail=f"{intent.notional} is more than {limits.maximum}")
