"""The simulated day: what each stage does to resting orders and positions.

Called by the exchange's `advance`. The rules are the backtest's: gapped stops at the open, then the
stop before the target in the bar; a symbol that stops trading is closed by adjustment.
"""

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from msgspec.structs import replace

from services.sim_broker.exchange import matching, settlement
from services.sim_broker.exchange.account_book import AccountBook
from services.sim_broker.exchange.market_data import MarketData
from services.sim_broker.exchange.market_hours import STAGES
from services.sim_broker.exchange.order import BrokerOrder, TimeInForce
from services.sim_broker.exchange.order_faults import OrderFaults
from shared.domain.trading.fills import SESSIONS_UNTIL_ENDED, Costs
from shared.schemas.values import Bar, OrderStatus, Stage

Moment = tuple[dt.date, Stage]
Matcher = Callable[[BrokerOrder, BrokerOrder | None, Bar, Costs], matching.Match | None]


def moments_between(
    sessions: Sequence[dt.date], here: Moment | None, there: Moment
) -> Iterator[Moment]:
    """Every moment after `here` up to and with `there`.

    At the start (`here` is None) the first moments of the session of `there` are entered alone.
    """
    first = here[0] if here else there[0]
    for session in sessions[bisect_left(sessions, first) : bisect_right(sessions, there[0])]:
        for stage in STAGES:
            if (here is None or rank(here) < rank((session, stage))) and rank(
                (session, stage)
            ) <= rank(there):
                yield session, stage


def rank(moment: Moment) -> tuple[dt.date, int]:
    """Sort key of a moment."""
    return moment[0], STAGES.index(moment[1])


@dataclass(frozen=True, slots=True)
class SessionStage:
    """One stage of one session: `enter` moves the book there, `work` applies its effects."""

    book: AccountBook
    bars: MarketData
    costs: Costs
    faults: OrderFaults
    session: dt.date
    stage: Stage

    def enter(self, at: dt.datetime | None = None) -> None:
        """Enter the stage; `at` is the broker's clock, for sessions with other hours."""
        if self.session != self.book.account.session:
            self._begin_session()
        account = self.book.account
        self.book.account = replace(
            account,
            session=self.session,
            stage=self.stage,
            at=at or self.book.stage_time(self.session, self.stage),
            sequence_at_stage=account.sequence,
        )

    def work(self) -> None:
        """Apply what the stage does to orders and positions; without trading, only expiry."""
        if self.session in self.book.account.listings.closures and self.stage is not Stage.MARK:
            return
        {
            Stage.START: lambda: None,
            Stage.OPEN: self._open,
            Stage.BAR: self._bar,
            Stage.CLOSE: self._reprice,
            Stage.MARK: self._mark,
        }[self.stage]()

    def _begin_session(self) -> None:
        """Record yesterday's closing figures before today's first price."""
        self.book.account = replace(self.book.account, last_equity=self.book.equity)
        for position in list(self.book.positions.values()):
            self.book.put_position(replace(position, lastday_price=position.last_price))

    def _open(self) -> None:
        for position in list(self.book.positions.values()):
            absent = self.bars.bar(position.symbol, self.session) is None
            self.book.put_position(
                replace(position, sessions_absent=position.sessions_absent + 1 if absent else 0)
            )
        self._reprice()
        for order in self.book.open_orders():
            if order.status is OrderStatus.ACCEPTED:
                self.book.record("new", replace(order, status=OrderStatus.NEW))
        self._match(matching.match_at_open)

    def _bar(self) -> None:
        self._match(matching.match_in_bar)
        for position in list(self.book.positions.values()):
            if position.sessions_absent >= SESSIONS_UNTIL_ENDED:
                settlement.close_by_adjustment(self.book, position.symbol)

    def _mark(self) -> None:
        for order in self.book.open_orders():
            if order.time_in_force is TimeInForce.DAY or order.expires_at.date() <= self.session:
                settlement.end(self.book, order, OrderStatus.EXPIRED)

    def _reprice(self) -> None:
        for position in list(self.book.positions.values()):
            bar = self.bars.bar(position.symbol, self.session)
            if bar:
                price = bar.open if self.stage is Stage.OPEN else bar.close
                self.book.put_position(replace(position, last_price=price))

    def _match(self, matcher: Matcher) -> None:
        for order in self.book.open_orders():
            bar = self.bars.bar(order.symbol, self.session)
            match = matcher(order, self.book.leg(order), bar, self.costs) if bar else None
            if bar and match:
                self._fill(*match, market=bar.open)

    def _fill(self, order: BrokerOrder, price: Decimal, *, market: Decimal) -> None:
        limit = self.faults.resting_limit(order.symbol)
        qty = order.remaining if limit is None else min(limit, order.remaining)
        if qty:
            settlement.fill(self.book, order, price=price, qty=qty, market=market, costs=self.costs)
