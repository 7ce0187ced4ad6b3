"""Refuses an entry in shares that are too cheap or too expensive."""

from decimal import Decimal

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas import fields as f
from shared.schemas.values import Reason, Value

REASON = Reason.PRICE_OUT_OF_BOUNDS
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    minimum: f.PriceOrZero = Decimal(3)
    maximum: f.PriceOrZero = Decimal(1000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.limit_price is None or limits.minimum <= intent.limit_price <= limits.maximum:
        return None
    return Denial(
        reason=REASON,
        detail=f"{intent.limit_price} is not within {limits.minimum} to {limits.maximum}",
    )
