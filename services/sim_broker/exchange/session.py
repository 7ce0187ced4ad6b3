"""The simulated day: from one stage to the next, and what each does to resting orders and held shares.

Called by the exchange's `advance`. The rules are those of the backtest: gapped stops at the open,
then stop before target in the bar; a symbol that stays away is closed by adjustment.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from services.sim_broker.exchange import matching, settlement
from services.sim_broker.exchange.account_book import Book
from services.sim_broker.exchange.market_data import Bars
from services.sim_broker.exchange.market_hours import STAGES, stage_at
from services.sim_broker.exchange.order import Order, TimeInForce
from shared.domain.trading.fills import SESSIONS_UNTIL_ENDED, Costs
from shared.schemas.values import Bar, OrderStatus, Stage

Moment = tuple[dt.date, Stage]
Matcher = Callable[[Order, Order | None, Bar, Costs], matching.Match | None]


def between(sessions: Sequence[dt.date], here: Moment | None, there: Moment) -> Iterator[Moment]:
    """Every moment after `here` up to and with `there`; from nowhere the day of `there` is entered alone."""
    first = here[0] if here else there[0]
    for session in sessions[bisect_left(sessions, first) : bisect_right(sessions, there[0])]:
        for stage in STAGES:
            if (here is None or place(here) < place((session, stage))) and place(
                (session, stage)
            ) <= place(there):
                yield session, stage


def place(moment: Moment) -> tuple[dt.date, int]:
    """Moments in their order."""
    return moment[0], STAGES.index(moment[1])


@dataclass(frozen=True, slots=True)
class Day:
    """One stage being entered; the book already stands in it when its effects are worked."""

    book: Book
    bars: Bars
    costs: Costs
    session: dt.date
    stage: Stage

    def enter(self, at: dt.datetime | None = None) -> None:
        """`at` is the broker's clock, where the session's hours are not the usual."""
        if self.session != self.book.account.session:
            self._turn()
        account = self.book.account
        self.book.account = replace(
            account,
            session=self.session,
            stage=self.stage,
            at=at or stage_at(self.session, self.stage),
            sequence_at_stage=account.sequence,
        )
        {
            Stage.START: lambda: None,
            Stage.OPEN: self._open,
            Stage.BAR: self._bar,
            Stage.CLOSE: self._reprice,
            Stage.MARK: self._mark,
        }[self.stage]()

    def _turn(self) -> None:
        """Yesterday's figures, before today's first price."""
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
        self._match(matching.at_open)

    def _bar(self) -> None:
        self._match(matching.in_bar)
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
                filled, price = match
                settlement.fill(
                    self.book,
                    filled,
                    price=price,
                    qty=filled.remaining,
                    market=bar.open,
                    costs=self.costs,
                )
