"""Compiled: one pass by date that decides which signals are taken with the shared cash.

simulate.py is its only caller. The arithmetic of fills.py, marketable_limit.py and sizing.py in
whole numbers, so that results are exact: cash and fills are cents, prices and equity
ten-thousandths of a dollar ("units"). It follows no signal itself.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.research.engine.outcome_kernels import (
    END_OF_DATA,
    ENDED,
    INVALIDATED_AT_OPEN,
    NO_BAR,
    SIGNAL_EXIT,
    TARGET,
    UNTRADABLE,
)
from services.research.engine.ranking_kernels import Candidates
from shared.domain.arrays.jit import jit, jit_inline

(
    TAKEN,
    SKIP_NO_BAR,
    SKIP_UNTRADABLE,
    SKIP_INVALIDATED,
    SKIP_HELD,
    SKIP_SHORTS,
    SKIP_SIZE,
    SKIP_CASH,
) = range(8)
BY_CASH, BY_BUDGET, BY_RISK = range(3)
SLIP_ONE = 10_000_000
"""Slippage is in thousandths of a basis point."""
FEE_ONE = 1_000_000_000
PART_ONE = 1_000_000

Ints = NDArray[np.int64]


class Terms(NamedTuple):
    """The account's terms in whole numbers.

    Fractions in millionths, dollars in cents, rates in billionths.
    """

    cash: int
    method: int
    value: int
    slippage: int
    buy_per_share: int
    sell_per_share: int
    sell_rate: int
    allow_shorts: bool


class Window(NamedTuple):
    """Columns: the sessions simulated, and the first session whose signals count."""

    first: int
    last: int
    signals_from: int


CANDIDATE, QTY, ENTRY_CENTS, EXIT_COLUMN, EXIT_PRICE, EXIT_CENTS, EXIT_KIND, BARS_HELD, FEES = (
    range(9)
)
"""Fields of a row of the trade log; both fills' fees in cents, EXIT_PRICE before costs in units."""


class PortfolioState(NamedTuple):
    """What the pass books ahead.

    A row of the panel is busy until twice the exit column, plus one when the exit comes after the
    open. Cents fall due at an open or later that session; values at a close are units.
    """

    busy_until: Ints
    due_open: Ints
    due_later: Ints
    held: Ints
    gross: Ints
    log: Ints


class Curves(NamedTuple):
    """At each close of the window: cash, market value of positions, equity; in units."""

    cash: Ints
    gross: Ints
    equity: Ints


@jit_inline
def slip(price: int, buying: bool, slippage: int) -> int:
    """Units to cents, against us."""
    if buying:
        return -((-price * (SLIP_ONE + slippage)) // (100 * SLIP_ONE))
    return (price * (SLIP_ONE - slippage)) // (100 * SLIP_ONE)


@jit_inline
def fees(qty: int, cents: int, buying: bool, terms: Terms) -> int:
    """Cents, rounded up once per fill."""
    if buying:
        return -((-qty * terms.buy_per_share * 100) // FEE_ONE)
    return -((-qty * (terms.sell_per_share * 100 + terms.sell_rate * cents)) // FEE_ONE)


@jit_inline
def part(value: int, whole: int) -> int:
    """`value` millionths of `whole`, rounded down, without overflow."""
    return (whole // PART_ONE) * value + (whole % PART_ONE) * value // PART_ONE


@jit_inline
def size(
    terms: Terms, side: int, opening: int, fill: int, stop: int, cash: int, equity: int
) -> int:
    """Shares; 0 is a refusal."""
    if terms.method == BY_BUDGET:
        limit = -((-opening * 1001) // 100_000) if side > 0 else (opening - 100) * 999 // 100_000
        return terms.value // limit if limit > 0 else 0
    if terms.method == BY_RISK:
        risk = abs(fill * 100 - stop)
        return max(0, part(terms.value, equity) // risk) if risk > 0 else 0
    return max(0, part(terms.value, cash) // fill) if fill > 0 else 0


@jit_inline
def judge(
    c: Candidates, i: int, held: bool, cash: int, equity: int, terms: Terms
) -> tuple[int, int, int, int]:
    """(verdict, qty, fill in cents, fee in cents) on one candidate."""
    side = int(c.side[i])
    if c.status[i] == NO_BAR:
        return SKIP_NO_BAR, 0, 0, 0
    if c.status[i] == UNTRADABLE:
        return SKIP_UNTRADABLE, 0, 0, 0
    if c.status[i] == INVALIDATED_AT_OPEN:
        return SKIP_INVALIDATED, 0, 0, 0
    if held:
        return SKIP_HELD, 0, 0, 0
    if side < 0 and not terms.allow_shorts:
        return SKIP_SHORTS, 0, 0, 0
    opening = int(c.opening[i])
    fill = slip(opening, side > 0, terms.slippage)
    qty = size(terms, side, opening, fill, int(c.stop[i]), cash, equity)
    if qty == 0:
        return SKIP_SIZE, 0, 0, 0
    fee = fees(qty, fill, side > 0, terms)
    return (TAKEN if qty * fill + fee <= cash else SKIP_CASH), qty, fill, fee


@jit_inline
def ending(
    close: NDArray[np.float64], c: Candidates, i: int, last: int
) -> tuple[int, int, int, int]:
    """(column, price, kind, own bars) of a candidate's exit, cut at the window's last close."""
    if c.exit_column[i] <= last:
        return int(c.exit_column[i]), int(c.exit_price[i]), int(c.exit_kind[i]), int(c.bars_held[i])
    row, held, price = int(c.row[i]), 0, np.nan
    for t in range(c.entry_column[i], last + 1):
        if not np.isnan(close[row, t]):
            held, price = held + 1, close[row, t]
    return last, int(price * 1e4 + 0.5), END_OF_DATA, held


@jit_inline
def mark(
    closes: NDArray[np.float64], qty: int, side: int, entry: int, held: Ints, gross: Ints
) -> None:
    """Add a position's value at each close it lives through.

    A session without a bar keeps the last close. A short is worth twice its entry less its close:
    proceeds and an equal deposit are locked until it is covered.
    """
    price = 0
    for t in range(closes.size):
        if not np.isnan(closes[t]):
            price = int(closes[t] * 1e4 + 0.5)
        gross[t] += qty * price
        held[t] += qty * (price if side > 0 else 2 * entry - price)


@jit_inline
def enter(
    close: NDArray[np.float64],
    c: Candidates,
    i: int,
    fill: tuple[int, int, int],
    terms: Terms,
    window: Window,
    book: PortfolioState,
    trade: Ints,
) -> None:
    """Take a candidate at (qty, cents, fee).

    Its exit is known, so what that pays and what the position is worth at each close until then are
    booked ahead: the work is in proportion to the trades.
    """
    qty, cents, fee = fill
    row, side, entry = int(c.row[i]), int(c.side[i]), int(c.entry_column[i])
    column, price, kind, bars_held = ending(close, c, i, window.last)
    out = slip(price, side < 0, 0 if kind in (TARGET, ENDED) else terms.slippage)
    exit_fee = fees(qty, out, side < 0, terms)
    at_open, ahead = kind <= SIGNAL_EXIT, entry - window.first
    due = book.due_open if at_open else book.due_later
    due[column - window.first] += qty * (out if side > 0 else 2 * cents - out) - exit_fee
    book.busy_until[row] = 2 * column + (0 if at_open else 1)
    mark(close[row, entry:column], qty, side, cents * 100, book.held[ahead:], book.gross[ahead:])
    trade[CANDIDATE], trade[QTY], trade[ENTRY_CENTS] = i, qty, cents
    trade[EXIT_COLUMN], trade[EXIT_PRICE], trade[EXIT_CENTS] = column, price, out
    trade[EXIT_KIND], trade[BARS_HELD], trade[FEES] = kind, bars_held, fee + exit_fee


@jit_inline
def empty_state(rows: int, sessions: int, candidates: int) -> PortfolioState:
    return PortfolioState(
        np.full(rows, -1, np.int64),
        np.zeros(sessions, np.int64),
        np.zeros(sessions, np.int64),
        np.zeros(sessions, np.int64),
        np.zeros(sessions, np.int64),
        np.empty((candidates, 9), np.int64),
    )


@jit
def portfolio_pass(
    close: NDArray[np.float64], c: Candidates, terms: Terms, window: Window
) -> tuple[Ints, Curves, Ints]:
    """(trade log in order of entry, curves, skipped by verdict) of one window, flat to flat."""
    first, last = window.first, window.last
    book = empty_state(close.shape[0], last - first + 1, c.starts[last + 1] - c.starts[first])
    spendable, equities = np.empty_like(book.held), np.empty_like(book.held)
    skipped, taken = np.zeros(SKIP_CASH + 1, np.int64), 0
    cash, equity = terms.cash, terms.cash * 100
    for t in range(first, last + 1):
        cash += book.due_open[t - first]
        for i in range(c.starts[t], c.starts[t + 1] if t > window.signals_from else c.starts[t]):
            held = book.busy_until[c.row[i]] > 2 * t
            verdict, qty, cents, fee = judge(c, i, held, cash, equity, terms)
            skipped[verdict] += 1
            if verdict == TAKEN:
                cash -= qty * cents + fee
                enter(close, c, i, (qty, cents, fee), terms, window, book, book.log[taken])
                taken += 1
        cash += book.due_later[t - first]
        equity = cash * 100 + book.held[t - first]
        spendable[t - first], equities[t - first] = cash * 100, equity
    return book.log[:taken].copy(), Curves(spendable, book.gross, equities), skipped
