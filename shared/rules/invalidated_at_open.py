"""Refuses an entry that would open at or beyond its own stop or target."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.domain.trading.fills import is_invalidated
from shared.schemas.values import Reason, Value

REASON = Reason.INVALIDATED_AT_OPEN
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    price = intent.quote_price
    if price is None or intent.stop is None:
        return None
    if not is_invalidated(price, intent.stop, intent.target, intent.direction):
        return None
    return Denial(
        reason=REASON, detail=f"{price} against stop {intent.stop} and target {intent.target}"
    )
