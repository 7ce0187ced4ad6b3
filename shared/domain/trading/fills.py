"""At what price an order fills against a daily bar, and what it costs.

Called by the simulated broker (order by order) and by the policy pass of a backtest; the kernels of
research hold the same arithmetic in whole numbers. It never sizes and never decides who trades.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

from shared.schemas.values import Direction, Side

CENT = Decimal("0.01")
TEN_THOUSAND = Decimal(10_000)
SESSIONS_UNTIL_ENDED = 5
"""A held symbol without a bar for so many sessions in a row is closed by adjustment: a week."""


class ExitReason(StrEnum):
    """Why a round trip ended, in the order of the day; the first two precede the entries."""

    GAPPED_STOP = "gapped_stop"
    SIGNAL_EXIT = "signal_exit"
    STOP = "stop"
    TARGET = "target"
    TIME_STOP = "time_stop"
    ENDED = "ended"
    END_OF_DATA = "end_of_data"

    @property
    def slips(self) -> bool:
        """A target is a resting limit and an adjustment is no order: neither pays slippage."""
        return self not in (ExitReason.TARGET, ExitReason.ENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What trading costs. Commissions and fees are off unless `commissions` is set."""

    slippage_bps: Decimal = Decimal(5)
    commissions: bool = False
    commission_per_share: Decimal = Decimal(0)
    sec_fee_rate: Decimal = Decimal("0.0000278")
    taf_per_share: Decimal = Decimal("0.000166")

    def __post_init__(self) -> None:
        if not 0 <= self.slippage_bps < TEN_THOUSAND:
            raise ValueError(f"slippage of {self.slippage_bps} bps is not between 0 and 10000")
        if min(self.commission_per_share, self.sec_fee_rate, self.taf_per_share) < 0:
            raise ValueError("commissions and fees cannot be negative")


def with_slippage(price: Decimal, side: Side, bps: Decimal) -> Decimal:
    """The price `bps` worse than `price`, to the cent against us: buys up, sells down."""
    if side is Side.BUY:
        return (price * (TEN_THOUSAND + bps) / TEN_THOUSAND).quantize(CENT, ROUND_CEILING)
    return (price * (TEN_THOUSAND - bps) / TEN_THOUSAND).quantize(CENT, ROUND_FLOOR)


def limit_fill(opening: Decimal, limit: Decimal, side: Side, bps: Decimal) -> Decimal | None:
    """The fill of a marketable limit order at the open, never worse than `limit`, or None."""
    if side is Side.BUY:
        return min(with_slippage(opening, side, bps), limit) if limit >= opening else None
    return max(with_slippage(opening, side, bps), limit) if limit <= opening else None


def is_invalidated(
    opening: Decimal, stop: Decimal, target: Decimal | None, direction: Direction
) -> bool:
    """Whether an entry would open at or beyond its own stop or target."""
    if direction is Direction.LONG:
        return opening <= stop or (target is not None and opening >= target)
    return opening >= stop or (target is not None and opening <= target)


def gap_exit(opening: Decimal, stop: Decimal, direction: Direction) -> Decimal | None:
    """The open, before slippage, if it has gapped through the stop; never for an entry bar."""
    gapped = opening <= stop if direction is Direction.LONG else opening >= stop
    return opening if gapped else None


def bar_exit(
    opening: Decimal,
    high: Decimal,
    low: Decimal,
    stop: Decimal,
    target: Decimal | None,
    direction: Direction,
) -> tuple[Decimal, ExitReason] | None:
    """What a bar after its open does to a position: the stop first, else the target.

    A target that the open is beyond fills at the open. The price is before slippage and rounding:
    see `exit_fill`.
    """
    long = direction is Direction.LONG
    if low <= stop if long else high >= stop:
        return stop, ExitReason.STOP
    if target is None or not (high >= target if long else low <= target):
        return None
    return (max(opening, target) if long else min(opening, target)), ExitReason.TARGET


def exit_fill(price: Decimal, reason: ExitReason, direction: Direction, costs: Costs) -> Decimal:
    """The fill of an exit decided at `price` for `reason`."""
    return with_slippage(
        price, direction.closes_with, costs.slippage_bps if reason.slips else Decimal(0)
    )


def fee(qty: Decimal | int, price: Decimal, side: Side, costs: Costs) -> Decimal:
    """Commission, and on sales regulatory fees, of one fill; together rounded up to the cent."""
    if not costs.commissions:
        return Decimal(0)
    per_share = costs.commission_per_share + (costs.taf_per_share if side is Side.SELL else 0)
    on_notional = price * costs.sec_fee_rate if side is Side.SELL else Decimal(0)
    return (qty * (per_share + on_notional)).quantize(CENT, ROUND_CEILING)
