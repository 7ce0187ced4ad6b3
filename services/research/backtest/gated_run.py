"""The portfolio pass with the gate itself: its rules, its book and its sizing, on outcomes the kernels have found.

Called by a backtest with --policy. Session by session it does what the stack does in a replay, to
the cent. Rules that need a live quote (LIVE_ONLY) are not asked. It never finds a signal and never
follows one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from services.research.backtest.gated_candidates import SCAN, Wish, Wishes
from services.research.backtest.gated_trades import (
    APPROVED,
    ENDS_AFTERWARDS,
    ENDS_AT_CLOSE_SLOT,
    ENDS_AT_OPEN,
    ENDS_AT_OPEN_SLOT,
    ENDS_IN_BAR,
    Taken,
    as_trades,
)
from services.research.engine.outcomes import UNITS_PER_DOLLAR, Outcomes, dollars
from services.research.engine.portfolio_kernels import Window
from services.research.engine.ranking_kernels import Candidates
from services.research.engine.simulate import SimulationResult, SimulationSettings
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.domain.risk import book as books
from shared.domain.risk.book import Book
from shared.domain.trading.fills import ExitReason, fee, limit_fill
from shared.rules import registry
from shared.rules.judge import Rule, first_breach, judge
from shared.runtime.config.settings import Steering
from shared.schemas.values import Ending, Reason, Side, TradingState

LIVE_ONLY = ("market_hours", "order_rate", "spread", "stale_quote")


@dataclass(frozen=True, slots=True, eq=False)
class PolicyResult:
    """`reduced` says since when and why no entry was let through any more; empty: it never came to that."""

    result: SimulationResult
    reduced: str


def rules_of(steering: Steering, *, allow_shorts: bool) -> tuple[Rule, ...]:
    """The rules with kobe.toml's limits; `allow_shorts` gives the gate's leave for this run."""
    tables = dict(steering.rules)
    if allow_shorts:
        tables["short_selling"] = {**tables.get("short_selling", {}), "allowed": True}
    return tuple(rule for rule in registry.load(tables) if rule.name not in LIVE_ONLY)


def run_policy(
    panel: Panel,
    tables: Sequence[tuple[str, SignalTable]],
    found: Sequence[Outcomes],
    ranked: Candidates,
    settings: SimulationSettings,
    rules: tuple[Rule, ...],
    window: Window,
) -> PolicyResult:
    """One window from flat to flat; what is open at its last close is closed there (`end_of_data`)."""
    wishes = Wishes(panel, tables, found, ranked, settings.sizing)
    account = _Account(panel, ranked, wishes, settings, rules, window, cash=settings.cash)
    for column in range(window.first, window.last + 1):
        account.session(column)
    trades = as_trades(account.taken, ranked)
    result = SimulationResult(
        strategies=tuple(name for name, _ in tables),
        sessions=panel.sessions[window.first : window.last + 1],
        starting_cash=float(settings.cash),
        trades=trades,
        equity=np.array(account.equities, np.float64),
        cash=np.array(account.spendable, np.float64),
        gross=np.array(account.grosses, np.float64),
        skipped={
            reason.value: account.denied[reason] for reason in Reason if account.denied[reason]
        },
    )
    return PolicyResult(result, account.reduced)


@dataclass(eq=False)
class _Account:
    """The broker's account and the gate's book beside it, moved through the stages of each session."""

    panel: Panel
    ranked: Candidates
    wishes: Wishes
    settings: SimulationSettings
    rules: tuple[Rule, ...]
    window: Window
    cash: Decimal
    book: Book = field(default_factory=Book)
    held: list[Taken] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    equities: list[float] = field(default_factory=list)
    spendable: list[float] = field(default_factory=list)
    grosses: list[float] = field(default_factory=list)
    denied: Counter[Reason] = field(default_factory=Counter)
    reduced: str = ""

    def session(self, column: int) -> None:
        self.book = books.roll_session(self.book, self.panel.sessions[column].item())
        self._leave(column, ENDS_AT_OPEN)
        self._look(column, self.panel.open)
        self._leave(column, ENDS_AT_OPEN_SLOT)
        if column > self.window.signals_from:
            self._enter(column)
        self._leave(column, ENDS_IN_BAR)
        self._look(column, self.panel.close)
        self._leave(column, ENDS_AT_CLOSE_SLOT)
        if column == self.window.last:
            self._leave(column, ENDS_AFTERWARDS)
        self._look(column, self.panel.close)
        self._note()

    # --- out --------------------------------------------------------------------------------------

    def _leave(self, column: int, reasons: frozenset[ExitReason]) -> None:
        due = [each for each in self.held if each.exit_column == column and each.reason in reasons]
        for each in sorted(due, key=lambda taken: taken.symbol):
            each.fill_exit(self.settings.costs)
            self.cash += each.cash_of_exit
            self.held.remove(each)
            self._booked_exit(each)

    def _booked_exit(self, each: Taken) -> None:
        """The gate counts cash of the exits it approved when their scan is settled, of others when it next looks."""
        change = -each.qty if each.side > 0 else each.qty
        self.book = books.move_position(
            self.book,
            each.symbol,
            strategy=each.strategy,
            change=change,
            price=each.exit_price,
            session=self.book.session or each.entered,
        )
        if each.reason in APPROVED:
            paid = each.qty * each.exit_price
            self.book = replace(self.book, cash=self.book.cash + (paid if each.side > 0 else -paid))

    # --- in ---------------------------------------------------------------------------------------

    def _enter(self, column: int) -> None:
        """Every wish is judged on the book that the one before it left; fills come after the last verdict."""
        approved: list[tuple[str, Wish]] = []
        for index in range(self.ranked.starts[column], self.ranked.starts[column + 1]):
            wish = self.wishes.wish(self.book, index)
            denials = judge(wish.intent, self.book, self.rules)
            refused = (
                denials[0].reason
                if denials
                else None
                if wish.enters
                else Reason.INVALIDATED_AT_OPEN
            )
            if refused:
                self.denied[refused] += 1
                continue
            name = str(index)
            self.book = books.reserve(self.book, name, wish.reservation, wish.intent.now)
            approved.append((name, wish))
        for name, wish in approved:
            self._fill_entry(name, wish)
        if approved:
            self.book = books.settle_scan(self.book, SCAN)

    def _fill_entry(self, name: str, wish: Wish) -> None:
        intent, costs = wish.intent, self.settings.costs
        assert intent.limit_price is not None
        price = limit_fill(wish.opening, intent.limit_price, intent.side, costs.slippage_bps)
        if price is not None:
            paid = fee(intent.qty, price, intent.side, costs)
            taken = Taken.of(self.panel, self.ranked, wish, price, paid, self.window.last)
            self.cash += taken.cash_of_entry
            self.held.append(taken)
            self.taken.append(taken)
            self.book = books.apply_fill(self.book, name, qty=intent.qty, price=price, opens=True)
            self.book = books.move_position(
                self.book,
                intent.symbol,
                strategy=intent.strategy,
                change=intent.qty if intent.side is Side.BUY else -intent.qty,
                price=price,
                session=self.book.session or taken.entered,
            )
        self.book = books.release(self.book, name, Ending.FILLED)

    # --- what the gate sees -----------------------------------------------------------------------

    def _look(self, column: int, prices: NDArray[np.float64]) -> None:
        for each in self.held:
            price = prices[each.row, column]
            if price == price:
                each.mark = round(float(price) * UNITS_PER_DOLLAR)
        self.book = books.see_account(self.book, cash=self.cash, equity=self._equity())
        breach = first_breach(self.book, self.rules)
        if breach and self.book.trading_state is TradingState.ACTIVE:
            self.book = books.reduce_only(self.book, breach)
            self.reduced = f"from {self.panel.sessions[column]} on: {breach}"

    def _equity(self) -> Decimal:
        return self.cash + dollars(sum(each.side * each.qty * each.mark for each in self.held))

    def _note(self) -> None:
        locked = sum(
            (2 * each.qty * each.entry_price for each in self.held if each.side < 0), Decimal(0)
        )
        self.equities.append(float(self._equity()))
        self.spendable.append(float(self.cash - locked))
        self.grosses.append(float(dollars(sum(each.qty * each.mark for each in self.held))))
