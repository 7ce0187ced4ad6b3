"""Refuses an entry whose stop, target or time stop could not protect it.

A long needs 0 < stop < limit < target, a short the mirror; prices in whole cents, none further from
the limit than allowed. A strategy may compute anything from wild bars; the broker would refuse it
only after the shares are bought.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.domain.trading.marketable_limit import CENT
from shared.schemas import fields as f
from shared.schemas.values import Direction, Reason, Value

REASON = Reason.INVALID_PROTECTION
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    """Distances are fractions of the limit price."""

    maximum_stop_fraction: f.Fraction = Decimal("0.50")
    maximum_target_fraction: f.Multiple = Decimal(3)
    maximum_time_stop_bars: f.TimeStopBars = f.MAX_TIME_STOP_BARS


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    problems = "; ".join(_problems(intent, limits))
    return Denial(reason=REASON, detail=problems) if problems else None


def _problems(intent: Intent, limits: Limits) -> Iterator[str]:
    stop, target = intent.stop, intent.target
    if not 1 <= intent.time_stop_bars <= limits.maximum_time_stop_bars:
        most = limits.maximum_time_stop_bars
        yield f"a time stop of {intent.time_stop_bars} bars is not between 1 and {most}"
    if stop is None:
        yield "it has no stop"
        return
    if any(price is not None and not _is_price(price) for price in (stop, target)):
        yield f"stop {stop} and target {target} are not prices in whole cents above zero"
    elif not _is_ordered(intent, stop):
        yield f"stop {stop}, limit {intent.limit_price}, target {target} are out of order"
    else:
        yield from _distances(intent, stop, limits)


def _is_price(price: Decimal) -> bool:
    return price > 0 and price % CENT == 0


def _is_ordered(intent: Intent, stop: Decimal) -> bool:
    """From stop through limit to target strictly upwards for a long; without a quote, no limit."""
    prices = [each for each in (stop, intent.limit_price, intent.target) if each is not None]
    if intent.direction is Direction.SHORT:
        prices.reverse()
    return all(lower < upper for lower, upper in pairwise(prices))


def _distances(intent: Intent, stop: Decimal, limits: Limits) -> Iterator[str]:
    limit = intent.limit_price
    if limit is None:
        return
    if abs(limit - stop) > limits.maximum_stop_fraction * limit:
        yield f"stop {stop} is too far from the limit {limit}"
    if intent.target and abs(intent.target - limit) > limits.maximum_target_fraction * limit:
        yield f"target {intent.target} is too far from the limit {limit}"
