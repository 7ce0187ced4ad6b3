"""Round trips from fills: what was bought, when it was sold, why, and what came of it. Pure.

Used by the demo's tables and report. Fills are paired first in, first out, by symbol.
"""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from shared.schemas.messages import OrderFilled
from shared.schemas.values import Purpose, Side


class RoundTrip(msgspec.Struct, frozen=True, kw_only=True):
    """`qty` is positive; without an exit it is still open. Money in dollars, before fees."""

    symbol: str
    strategy: str
    side: str
    qty: int
    entry_session: dt.date
    entry_price: Decimal
    stop: Decimal | None = None
    exit_session: dt.date | None = None
    exit_price: Decimal | None = None
    reason: str = ""

    @property
    def pnl(self) -> Decimal | None:
        if self.exit_price is None:
            return None
        gain = (self.exit_price - self.entry_price) * self.qty
        return gain if self.side == "long" else -gain


def round_trips(fills: Iterable[OrderFilled]) -> list[RoundTrip]:
    """Closed ones in order of exit, then the open ones in order of entry."""
    closed: list[RoundTrip] = []
    still_open: dict[str, list[RoundTrip]] = {}
    for fill in fills:
        lots = still_open.setdefault(fill.symbol, [])
        if fill.purpose is Purpose.ENTRY:
            lots.append(_entry(fill))
        else:
            closed += _close(lots, fill)
    return closed + [lot for lots in still_open.values() for lot in lots]


def _entry(fill: OrderFilled) -> RoundTrip:
    return RoundTrip(
        symbol=fill.symbol,
        strategy=fill.strategy,
        side="long" if fill.side is Side.BUY else "short",
        qty=fill.qty,
        entry_session=fill.session,
        entry_price=fill.price,
        stop=fill.stop,
    )


def _close(lots: list[RoundTrip], fill: OrderFilled) -> list[RoundTrip]:
    """Close the oldest lots with a fill; `lots` keeps what is left."""
    closed, left = [], fill.qty
    while left > 0 and lots:
        lot = lots.pop(0)
        qty = min(left, lot.qty)
        closed.append(
            replace(
                lot,
                qty=qty,
                exit_session=fill.session,
                exit_price=fill.price,
                reason=_reason(lot, fill),
            )
        )
        if lot.qty > qty:
            lots.insert(0, replace(lot, qty=lot.qty - qty))
        left -= qty
    return closed


def _reason(lot: RoundTrip, fill: OrderFilled) -> str:
    """A protective order is a stop or a target; its price says which."""
    if fill.purpose is not Purpose.PROTECT:
        return fill.purpose.value.replace("_", " ")
    if lot.stop is None:
        return "protection"
    lost = fill.price <= lot.stop if lot.side == "long" else fill.price >= lot.stop
    return "stop" if lost else "target"
