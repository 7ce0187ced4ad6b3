"""A portfolio pass judged by the gate itself: its rules, its book and its sizing.

Called by a backtest with --policy. Session by session it does what the stack does in a replay, to
the cent, on outcomes the kernels have found. Rules that need a live quote (LIVE_ONLY) do not apply.
It finds no signals and follows none.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from services.research.backtest.gated_candidates import SCAN, EntryCandidate, EntryCandidates
from services.research.backtest.gated_trades import (
    APPROVED,
    ENDS_AFTERWARDS,
    ENDS_AT_CLOSE_SLOT,
    ENDS_AT_OPEN,
    ENDS_AT_OPEN_SLOT,
    ENDS_IN_BAR,
    GatedPosition,
    as_trades,
)
from services.research.engine.outcomes import UNITS_PER_DOLLAR, Outcomes, dollars
from services.research.engine.portfolio_kernels import Window
from services.research.engine.ranking_kernels import Candidates
from services.research.engine.simulate import SimulationResult, SimulationSettings, first_ruin
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.domain.risk import book as books
from shared.domain.risk.account import see_account
from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.domain.trading.fills import ExitReason, fee, limit_fill
from shared.rules import registry
from shared.rules.judge import Rule, first_breach
from shared.schemas.json_types import JsonMapping
from shared.schemas.values import Ending, Reason, Side, TradingState

LIVE_ONLY = ("market_hours", "order_rate", "spread", "stale_quote")


@dataclass(frozen=True, slots=True, eq=False)
class GatedResult:
    """A result, and since when and why the gate let no entry through (empty if it never did)."""

    result: SimulationResult
    reduced: str


def gate_rules(limits: Mapping[str, JsonMapping], *, allow_shorts: bool) -> tuple[Rule, ...]:
    """The gate's rules; `limits` as in kobe.toml's [rules], `allow_shorts` permits short sales."""
    tables = {name: dict(values) for name, values in limits.items()}
    if allow_shorts:
        tables["short_selling"] = {**tables.get("short_selling", {}), "allowed": True}
    return tuple(rule for rule in registry.load(tables) if rule.name not in LIVE_ONLY)


def run_with_gate(
    panel: Panel,
    tables: Sequence[tuple[str, SignalTable]],
    found: Sequence[Outcomes],
    ranked: Candidates,
    settings: SimulationSettings,
    rules: tuple[Rule, ...],
    window: Window,
) -> GatedResult:
    """Simulate one window from flat to flat.

    What is open at the last close is closed there (`end_of_data`).
    """
    candidates = EntryCandidates(panel, tables, found, ranked, settings.sizing)
    account = _Account(panel, ranked, candidates, settings, rules, window, cash=settings.cash)
    for column in range(window.first, window.last + 1):
        account.session(column)
    trades = as_trades(account.positions, ranked)
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
    ruined = first_ruin(result.equity)
    if ruined is not None and ruined < result.equity.size - 1:
        until = window._replace(last=window.first + ruined)
        return run_with_gate(panel, tables, found, ranked, settings, rules, until)
    return GatedResult(result, account.reduced)


@dataclass(eq=False)
class _Account:
    """The broker's account and the gate's book, moved together through each session's stages."""

    panel: Panel
    ranked: Candidates
    candidates: EntryCandidates
    settings: SimulationSettings
    rules: tuple[Rule, ...]
    window: Window
    cash: Decimal
    book: Book = field(default_factory=Book)
    held: list[GatedPosition] = field(default_factory=list)
    positions: list[GatedPosition] = field(default_factory=list)
    equities: list[float] = field(default_factory=list)
    spendable: list[float] = field(default_factory=list)
    grosses: list[float] = field(default_factory=list)
    denied: Counter[Reason] = field(default_factory=Counter)
    reduced: str = ""

    def session(self, column: int) -> None:
        self.book = books.roll_session(self.book, self.panel.sessions[column].item())
        self._exit_due(column, ENDS_AT_OPEN)
        self._mark_to_market(column, self.panel.open)
        self._exit_due(column, ENDS_AT_OPEN_SLOT)
        if column > self.window.signals_from:
            self._judge_entries(column)
        self._exit_due(column, ENDS_IN_BAR)
        self._mark_to_market(column, self.panel.close)
        self._exit_due(column, ENDS_AT_CLOSE_SLOT)
        if column == self.window.last:
            self._exit_due(column, ENDS_AFTERWARDS)
        self._mark_to_market(column, self.panel.close)
        self._record_close()

    # --- out --------------------------------------------------------------------------------------

    def _exit_due(self, column: int, reasons: frozenset[ExitReason]) -> None:
        due = [each for each in self.held if each.exit_column == column and each.reason in reasons]
        for each in sorted(due, key=lambda positions: positions.symbol):
            each.fill_exit(self.settings.costs)
            self.cash += each.cash_of_exit
            self.held.remove(each)
            self._book_exit(each)

    def _book_exit(self, each: GatedPosition) -> None:
        """Move the book: cash of an approved exit counts when its scan settles.

        Cash of other exits counts when the gate next sees the account.
        """
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
            paid = each.side * each.qty * each.exit_price
            self.book = replace(
                self.book,
                cash=self.book.cash + paid,
                buying_power=self.book.buying_power + max(paid, Decimal(0)),
            )

    # --- in ---------------------------------------------------------------------------------------

    def _judge_entries(self, column: int) -> None:
        """Judge each candidate on the book the previous one left, then fill those approved."""
        approved: list[tuple[str, EntryCandidate]] = []
        for index in range(self.ranked.starts[column], self.ranked.starts[column + 1]):
            candidate = self.candidates.candidate(self.book, index)
            denials = _denials(candidate.intent, self.book, self.rules)
            refused = _skip_reason(denials, enters=candidate.enters)
            if refused:
                self.denied[refused] += 1
                continue
            name = str(index)
            self.book = books.reserve(self.book, name, candidate.reservation, candidate.intent.now)
            approved.append((name, candidate))
        for name, candidate in approved:
            self._fill_entry(name, candidate)
        if approved:
            self.book = books.settle_scan(self.book, SCAN)

    def _fill_entry(self, name: str, candidate: EntryCandidate) -> None:
        intent, costs = candidate.intent, self.settings.costs
        assert intent.limit_price is not None
        price = limit_fill(candidate.opening, intent.limit_price, intent.side, costs.slippage_bps)
        if price is not None:
            paid = fee(intent.qty, price, intent.side, costs)
            positions = GatedPosition.of(
                self.panel, self.ranked, candidate, price, paid, self.window.last
            )
            self.cash += positions.cash_of_entry
            self.held.append(positions)
            self.positions.append(positions)
            self.book = books.apply_fill(self.book, name, qty=intent.qty, price=price, opens=True)
            self.book = books.move_position(
                self.book,
                intent.symbol,
                strategy=intent.strategy,
                change=intent.qty if intent.side is Side.BUY else -intent.qty,
                price=price,
                session=self.book.session or positions.entered,
            )
        self.book = books.release(self.book, name, Ending.FILLED)

    # --- what the gate sees -----------------------------------------------------------------------

    def _mark_to_market(self, column: int, prices: NDArray[np.float64]) -> None:
        for each in self.held:
            price = prices[each.row, column]
            if not math.isnan(price):
                each.mark = round(float(price) * UNITS_PER_DOLLAR)
        self.book = see_account(
            self.book, cash=self.cash, equity=self._equity(), buying_power=self._buying_power()
        )
        breach = first_breach(self.book, self.rules)
        if breach and self.book.trading_state is TradingState.ACTIVE:
            self.book = books.reduce_only(self.book, breach)
            self.reduced = f"from {self.panel.sessions[column]} on: {breach}"

    def _buying_power(self) -> Decimal:
        """Cash less what buying back the shorts would take, as the simulated broker has it."""
        shorts = sum(each.qty * each.mark for each in self.held if each.side < 0)
        return max(self.cash - dollars(shorts), Decimal(0))

    def _equity(self) -> Decimal:
        return self.cash + dollars(sum(each.side * each.qty * each.mark for each in self.held))

    def _record_close(self) -> None:
        locked = sum(
            (2 * each.qty * each.entry_price for each in self.held if each.side < 0), Decimal(0)
        )
        self.equities.append(float(self._equity()))
        self.spendable.append(float(self.cash - locked))
        self.grosses.append(float(dollars(sum(each.qty * each.mark for each in self.held))))


def _skip_reason(denials: Iterator[Denial], *, enters: bool) -> Reason | None:
    """The first reason; an open beyond the stop or target counts before what it makes invalid."""
    first = next(denials, None)
    if first is None:
        return None if enters else Reason.INVALIDATED_AT_OPEN
    if first.reason is not Reason.INVALID_PROTECTION:
        return first.reason
    others = [denial.reason for denial in denials]
    if Reason.INVALIDATED_AT_OPEN not in others:
        return first.reason
    return others[0]


def _denials(intent: Intent, book: Book, rules: tuple[Rule, ...]) -> Iterator[Denial]:
    """What `judge` would give, one at a time: mostly the first is enough."""
    found = (rule.check(intent, book) for rule in rules)
    return (denial for denial in found if denial is not None)
