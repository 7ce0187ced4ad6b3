"""docs/strategies.md read once more: the trading day in plain Python and Decimal; slow and obvious.

Used by the tests of services/research/engine/simulate.py; imports none of the product's arithmetic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Bar:
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True)
class Signal:
    strategy: int
    symbol: str
    day: int
    side: int
    stop: Decimal
    target: Decimal | None
    score: float
    time_stop: int
    leaves_at_close_of: Callable[[int], bool]


@dataclass(frozen=True)
class Rules:
    cash: Decimal = Decimal(100_000)
    method: str = "cash_fraction"
    value: Decimal = Decimal("0.007")
    slippage_bps: Decimal = Decimal(5)
    commission: Decimal = Decimal(0)
    sec_fee: Decimal = Decimal(0)
    taf: Decimal = Decimal(0)
    shorts: bool = False


@dataclass(frozen=True)
class Trade:
    strategy: int
    symbol: str
    side: int
    qty: int
    entry_day: int
    entry_price: Decimal
    exit_day: int
    exit_price: Decimal
    reason: str
    bars_held: int
    pnl: Decimal


@dataclass
class Position:
    signal: Signal
    qty: int
    entry_day: int
    entry_price: Decimal
    paid: Decimal
    last_close: Decimal = Decimal(0)
    bars_held: int = 0
    absent: int = 0
    leaving: bool = False

    def worth(self) -> Decimal:
        """Of a short: its locked proceeds and deposit, less what covering would cost."""
        if self.signal.side > 0:
            return self.qty * self.last_close
        return self.qty * (2 * self.entry_price - self.last_close)


@dataclass
class Account:
    rules: Rules
    bars: dict[str, Sequence[Bar | None]]
    cash: Decimal
    equity: Decimal
    positions: dict[str, Position] = field(default_factory=dict)
    trades: list[Trade] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    equity_curve: list[Decimal] = field(default_factory=list)
    cash_curve: list[Decimal] = field(default_factory=list)
    gross_curve: list[Decimal] = field(default_factory=list)

    def leave(
        self, symbol: str, day: int, price: Decimal, reason: str, *, slips: bool = True
    ) -> None:
        position = self.positions.pop(symbol)
        side, qty, entry = position.signal.side, position.qty, position.entry_price
        fill = fill_at(price, buying=side < 0, bps=self.rules.slippage_bps if slips else Decimal(0))
        fee = fee_of(qty, fill, buying=side < 0, rules=self.rules)
        self.cash += (qty * fill if side > 0 else qty * (2 * entry - fill)) - fee
        self.trades.append(
            Trade(
                position.signal.strategy, symbol, side, qty,
                position.entry_day, entry, day, fill, reason,
                position.bars_held, side * qty * (fill - entry) - fee - position.paid,
            )
        )  # fmt: skip


def fill_at(price: Decimal, *, buying: bool, bps: Decimal) -> Decimal:
    share = bps / 10_000
    if buying:
        return (price * (1 + share)).quantize(CENT, ROUND_CEILING)
    return (price * (1 - share)).quantize(CENT, ROUND_FLOOR)


def fee_of(qty: int, price: Decimal, *, buying: bool, rules: Rules) -> Decimal:
    exact = qty * rules.commission
    if not buying:
        exact += qty * rules.taf + qty * price * rules.sec_fee
    return exact.quantize(CENT, ROUND_CEILING)


def simulate(
    bars: dict[str, Sequence[Bar | None]],
    signals: Sequence[Signal],
    rules: Rules,
    first: int,
    last: int,
    signals_from: int | None = None,
) -> Account:
    account = Account(rules, bars, rules.cash, rules.cash)
    begins = first if signals_from is None else signals_from
    of_day: dict[int, list[Signal]] = {}
    for signal in signals:
        if signal.day >= begins:
            of_day.setdefault(signal.day, []).append(signal)
    for day in range(first, last + 1):
        leave_at_open(account, day)
        for signal in sorted(
            of_day.get(day - 1, []), key=lambda s: (s.strategy, -s.score, s.symbol)
        ):
            reason = enter(account, signal, day)
            if reason is not None:
                account.skipped[reason] += 1
        leave_during_bar(account, day)
        leave_at_close(account, day)
        if day == last:
            for symbol, position in list(account.positions.items()):
                account.leave(symbol, day, position.last_close, "end_of_data")
        account.equity = account.cash + sum(
            (p.worth() for p in account.positions.values()), Decimal(0)
        )
        account.equity_curve.append(account.equity)
        account.cash_curve.append(account.cash)
        gross = sum((p.qty * p.last_close for p in account.positions.values()), Decimal(0))
        account.gross_curve.append(gross)
    return account


def leave_at_open(account: Account, day: int) -> None:
    for symbol, position in list(account.positions.items()):
        bar = account.bars[symbol][day]
        if bar is None:
            continue
        long, stop = position.signal.side > 0, position.signal.stop
        gapped = bar.open <= stop if long else bar.open >= stop
        if gapped or position.leaving:
            position.bars_held += 1
            account.leave(symbol, day, bar.open, "gapped_stop" if gapped else "signal_exit")


def enter(account: Account, signal: Signal, day: int) -> str | None:
    """Why not, or None when entered."""
    bar, rules, long = account.bars[signal.symbol][day], account.rules, signal.side > 0
    if bar is None:
        return "no_bar"
    at_stop = bar.open <= signal.stop if long else bar.open >= signal.stop
    at_target = signal.target is not None and (
        bar.open >= signal.target if long else bar.open <= signal.target
    )
    if at_stop or at_target:
        return "invalidated_at_open"
    if signal.symbol in account.positions:
        return "symbol_held"
    if not long and not rules.shorts:
        return "shorts_disabled"
    price = fill_at(bar.open, buying=long, bps=rules.slippage_bps)
    qty = shares(account, signal, bar, price)
    if qty <= 0:
        return "size_zero"
    fee = fee_of(qty, price, buying=long, rules=rules)
    if qty * price + fee > account.cash:
        return "insufficient_cash"
    account.cash -= qty * price + fee
    account.positions[signal.symbol] = Position(signal, qty, day, price, fee)
    return None


def shares(account: Account, signal: Signal, bar: Bar, price: Decimal) -> int:
    rules = account.rules
    if rules.method == "cash_fraction":
        money, each = rules.value * account.cash, price
    elif rules.method == "risk_fraction":
        money, each = rules.value * account.equity, abs(price - signal.stop)
    elif signal.side > 0:
        money, each = rules.value, (bar.open * Decimal("1.001")).quantize(CENT, ROUND_CEILING)
    else:
        money, each = (
            rules.value,
            ((bar.open - CENT) * Decimal("0.999")).quantize(CENT, ROUND_FLOOR),
        )
    return int(money // each) if each > 0 and money > 0 else 0


def leave_during_bar(account: Account, day: int) -> None:
    for symbol, position in list(account.positions.items()):
        bar = account.bars[symbol][day]
        if bar is None:
            continue
        position.bars_held += 1
        position.absent = 0
        position.last_close = bar.close
        long, stop, target = position.signal.side > 0, position.signal.stop, position.signal.target
        if bar.low <= stop if long else bar.high >= stop:
            account.leave(symbol, day, stop, "stop")
        elif target is not None and (bar.high >= target if long else bar.low <= target):
            price = max(bar.open, target) if long else min(bar.open, target)
            account.leave(symbol, day, price, "target", slips=False)


def leave_at_close(account: Account, day: int) -> None:
    for symbol, position in list(account.positions.items()):
        if account.bars[symbol][day] is None:
            position.absent += 1
            if position.absent == 5:
                account.leave(symbol, day, position.last_close, "ended", slips=False)
        elif position.bars_held == position.signal.time_stop:
            account.leave(symbol, day, position.last_close, "time_stop")
        else:
            position.leaving = position.signal.leaves_at_close_of(day)
