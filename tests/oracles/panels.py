"""The slow reading's inputs, made from the product's arrays; and the comparison of both results."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from services.research.engine.outcomes import EXIT_REASONS
from services.research.engine.portfolio_kernels import Window
from services.research.engine.simulate import SimulationResult, SimulationSettings, simulate
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from tests.oracles import slow_simulation as slow

Tables = Sequence[tuple[str, SignalTable]]


def decimal(price: float) -> Decimal:
    return Decimal(str(round(float(price), 4)))


def bars_of(panel: Panel) -> dict[str, Sequence[slow.Bar | None]]:
    return {symbol: _row(panel, row) for row, symbol in enumerate(panel.symbols)}


def _row(panel: Panel, row: int) -> list[slow.Bar | None]:
    prices = zip(
        *(getattr(panel, name)[row].tolist() for name in ("open", "high", "low", "close")),
        strict=True,
    )
    return [
        None if bar[3] != bar[3] else slow.Bar(*(decimal(price) for price in bar)) for bar in prices
    ]


def signals_of(panel: Panel, tables: Tables) -> list[slow.Signal]:
    return [
        _signal(panel, place, table, i)
        for place, (_, table) in enumerate(tables)
        for i in range(table.row.size)
    ]


def _signal(panel: Panel, place: int, table: SignalTable, i: int) -> slow.Signal:
    row, side, target = int(table.row[i]), int(table.side[i]), float(table.target[i])
    flags = table.exit_long if side > 0 else table.exit_short
    return slow.Signal(
        strategy=place,
        symbol=panel.symbols[row],
        day=int(table.column[i]),
        side=side,
        stop=decimal(table.stop[i]),
        target=None if np.isnan(target) else decimal(target),
        score=float(table.score[i]),
        time_stop=table.time_stop_bars,
        leaves_at_close_of=lambda day: flags is not None and bool(flags[row, day]),
    )


def rules_of(settings: SimulationSettings) -> slow.Rules:
    costs = settings.costs
    on = 1 if costs.commissions else 0
    return slow.Rules(
        cash=settings.cash,
        method=str(settings.sizing.method),
        value=settings.sizing.value,
        slippage_bps=costs.slippage_bps,
        commission=on * costs.commission_per_share,
        sec_fee=on * costs.sec_fee_rate,
        taf=on * costs.taf_per_share,
        shorts=settings.allow_shorts,
    )


def trades_of(panel: Panel, result: SimulationResult) -> list[slow.Trade]:
    trades = result.trades
    return [
        slow.Trade(
            strategy=int(trades.strategy[i]),
            symbol=panel.symbols[trades.row[i]],
            side=int(trades.side[i]),
            qty=int(trades.qty[i]),
            entry_day=int(trades.entry_column[i]),
            entry_price=decimal(trades.entry_price[i]),
            exit_day=int(trades.exit_column[i]),
            exit_price=decimal(trades.exit_price[i]),
            reason=str(EXIT_REASONS[trades.exit_kind[i]]),
            bars_held=int(trades.bars_held[i]),
            pnl=decimal(trades.pnl[i]),
        )
        for i in range(len(trades))
    ]


def agree(
    panel: Panel, tables: Tables, settings: SimulationSettings, window: Window | None = None
) -> int:
    """Assert that both readings agree on trades, curves and refusals; returns how many trades."""
    window = Window(0, panel.sessions.size - 1, 0) if window is None else window
    ours = simulate(panel, tables, settings, window)
    theirs = slow.simulate(bars_of(panel), signals_of(panel, tables), rules_of(settings), *window)
    in_order = sorted(theirs.trades, key=_by_entry)
    assert sorted(trades_of(panel, ours), key=_by_entry) == in_order
    for name, curve in (("equity", ours.equity), ("cash", ours.cash), ("gross", ours.gross)):
        assert [decimal(value) for value in curve] == getattr(theirs, f"{name}_curve"), name
    assert {str(reason): count for reason, count in ours.skipped.items() if count} == dict(
        theirs.skipped
    )
    return len(in_order)


def _by_entry(trade: slow.Trade) -> tuple[int, str, int]:
    return trade.entry_day, trade.symbol, trade.exit_day
