"""The intents that a gated run puts before the gate, built as from the quote at the open.

Used by gated_run.py alone. Sizes and limits are the gate's; nothing is judged here.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.research.engine.outcome_kernels import NO_BAR, NO_TARGET, READY, UNTRADABLE
from services.research.engine.outcomes import Outcomes, dollars
from services.research.engine.ranking_kernels import Candidates
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.domain.market.simulated_quote import simulated_quote
from shared.domain.risk.book import Book, Reservation
from shared.domain.risk.intents import Intent
from shared.domain.risk.sizing import Sizing, SizingMethod, budget, cash_fraction, risk_fraction
from shared.domain.trading.marketable_limit import limit_price
from shared.schemas.values import Direction, Purpose

SCAN = "open"


@dataclass(frozen=True, slots=True, eq=False)
class EntryCandidate:
    """A ranked signal as the gate sees it.

    `enters` is false where the kernels found no entry; `opening` is the open, 0 without a bar.
    """

    index: int
    intent: Intent
    opening: Decimal
    enters: bool

    @property
    def reservation(self) -> Reservation:
        intent = self.intent
        assert intent.limit_price is not None
        return Reservation(
            scan_id=SCAN,
            session=intent.session,
            signal_id=intent.signal_id,
            symbol=intent.symbol,
            strategy=intent.strategy,
            direction=intent.direction,
            side=intent.side,
            purpose=intent.purpose,
            qty=intent.qty,
            limit_price=intent.limit_price,
        )


@dataclass(frozen=True, slots=True, eq=False)
class EntryCandidates:
    panel: Panel
    tables: Sequence[tuple[str, SignalTable]]
    found: Sequence[Outcomes]
    ranked: Candidates
    sizing: Sizing

    def candidate(self, book: Book, index: int) -> EntryCandidate:
        """The candidate as the gate would see it at the open slot of its entry session."""
        ranked = self.ranked
        place, signal, column = (
            int(ranked.strategy[index]),
            int(ranked.signal[index]),
            int(ranked.entry_column[index]),
        )
        name, table = self.tables[place]
        symbol = self.panel.symbols[ranked.row[index]]
        direction = Direction.LONG if ranked.side[index] > 0 else Direction.SHORT
        at = _instant(self.panel, column)
        opening, stop = dollars(int(ranked.opening[index])), dollars(int(ranked.stop[index]))
        target = int(self.found[place].orders.target[signal])
        quote = None
        if ranked.status[index] not in (NO_BAR, UNTRADABLE):
            quote = simulated_quote(symbol, opening, at=at)
        limit = limit_price(quote.ask, quote.bid, direction.opens_with) if quote else None
        intent = Intent(
            signal_id=str(index),
            symbol=symbol,
            strategy=name,
            direction=direction,
            side=direction.opens_with,
            purpose=Purpose.ENTRY,
            qty=self._size(book, limit, stop),
            limit_price=limit,
            quote=quote,
            stop=stop,
            target=None if target == NO_TARGET else dollars(target),
            time_stop_bars=table.time_stop_bars,
            last_close=Decimal(f"{table.reference_price[signal]:.2f}"),
            session=at.date(),
            signal_session=self.panel.sessions[column - 1].item(),
            last_completed=self.panel.sessions[column - 1].item(),
            now=at,
            closes_at=at,
        )
        return EntryCandidate(index, intent, opening, bool(ranked.status[index] == READY))

    def _size(self, book: Book, limit: Decimal | None, stop: Decimal) -> int:
        if limit is None:
            return 0
        value = self.sizing.value
        match self.sizing.method:
            case SizingMethod.BUDGET:
                return budget(value, limit)
            case SizingMethod.CASH_FRACTION:
                return cash_fraction(value, book.cash, limit)
            case SizingMethod.RISK_FRACTION:
                return risk_fraction(value, book.equity, limit, stop)


def _instant(panel: Panel, column: int) -> dt.datetime:
    """Any moment of the session serves: rules that look at the clock do not apply."""
    day: dt.date = panel.sessions[column].item()
    return dt.datetime.combine(day, dt.time(14, 35), dt.UTC)
