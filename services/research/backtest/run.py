"""One backtest from inputs to artifacts: bars, signals, portfolio pass, metrics, files.

Called by `kobe backtest` and by queue workers. The same inputs give the same bytes; it prints
nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.research.backtest import benchmark as benchmarks, caveats
from services.research.backtest.benchmark import Benchmark
from services.research.backtest.costs import (
    SLIPPAGE_LEVELS,
    CostLevel,
    break_even,
    cost_level,
)
from services.research.backtest.market_view import MarketModel, market_view
from services.research.backtest.trial_ledger import Trial, sharpe_per_session, trial
from services.research.data.dataset import Dataset, columns, open_dataset
from services.research.data.inputs import Inputs
from services.research.engine.outcomes import outcomes, rank
from services.research.engine.performance import PerformanceMetrics, daily_returns, measure
from services.research.engine.portfolio_kernels import Window
from services.research.engine.simulate import (
    SimulationResult,
    equity_of,
    run_portfolio,
    window_between,
    with_slippage,
)
from services.research.engine.slippage import equity_at
from services.research.reports import artifacts
from services.research.strategy_check.guard import refuse_look_ahead
from services.research.strategy_check.selection import (
    SelectedStrategy,
    refuse_too_short,
    select_strategies,
    signals_of,
)
from shared.domain.errors import UserError
from shared.domain.market.signal_table import SignalTable
from shared.runtime.config.settings import Settings, load_settings
from shared.schemas.json_types import JsonMapping, JsonObject

KIND = "backtest"


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A finished backtest; `tables` are over the whole panel."""

    id: str
    inputs: Inputs
    strategies: tuple[SelectedStrategy, ...]
    market: Dataset
    window: Window
    tables: tuple[tuple[str, SignalTable], ...]
    result: SimulationResult
    metrics: PerformanceMetrics
    benchmark: Benchmark | None
    head: MarketModel
    costs: tuple[CostLevel, ...]
    warnings: tuple[str, ...]
    digests: JsonMapping
    code_version: str
    config_pin: str

    @property
    def sessions(self) -> tuple[str, str]:
        """The first and the last session simulated."""
        return str(self.result.sessions[0]), str(self.result.sessions[-1])


def backtest(inputs: Inputs, environ: Mapping[str, str], market: Dataset | None = None) -> Run:
    """Run a backtest; `market` saves opening bars that are open already.

    Raises UserError if the inputs are bad.
    """
    settings, terms, strategies = load_settings(environ), inputs.settings, select_strategies(inputs)
    if terms.cash <= 0:
        raise UserError(f"--cash must be more than 0, not {terms.cash}.", exit_code=64)
    market = market or open_dataset(inputs, environ)
    panel = market.panel
    window = window_between(panel, *columns(panel, inputs.start, inputs.end))
    refuse_too_short(panel, strategies, window.last)
    tables = tuple((each.name, signals_of(panel, each)) for each in strategies)
    refuse_look_ahead(inputs, strategies, panel)
    passed = _simulate(inputs, market, tables, window, settings)
    result = passed.result
    window = window._replace(last=window.first + result.sessions.size - 1)  # ruin ends a run
    sentence = break_even(passed.costs)
    warnings = (
        *caveats.about_trades(result, result.skipped),
        *([f"Costs: {sentence}"] if sentence else []),
        *caveats.about_bars(market, window.first, window.last),
    )
    held = benchmarks.benchmark(market, window.first, window.last, result.starting_cash)
    digests = {"bars": market.digest, "strategies": {each.name: each.digest for each in strategies}}
    return Run(
        id=_id(inputs, strategies, market, settings),
        inputs=inputs,
        strategies=strategies,
        market=market,
        window=window,
        tables=tables,
        result=result,
        metrics=measure(result),
        benchmark=held,
        head=market_view(result, held, inputs.cash_rate),
        costs=passed.costs,
        warnings=(*passed.notes, *warnings),
        digests=digests,
        code_version=settings.code_digest,
        config_pin=settings.config_pin,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Passed:
    """The portfolio pass, what it leaves at other costs, and notes for the reader."""

    result: SimulationResult
    costs: tuple[CostLevel, ...]
    notes: tuple[str, ...] = ()


def _simulate(
    inputs: Inputs,
    market: Dataset,
    tables: tuple[tuple[str, SignalTable], ...],
    window: Window,
    settings: Settings,
) -> Passed:
    panel, terms = market.panel, inputs.settings
    found = [outcomes(panel, name, table) for name, table in tables]
    ranked = rank(panel, found)
    if not inputs.policy:
        levels = tuple(
            cost_level(
                bps,
                daily_returns(
                    equity_of(panel, ranked, with_slippage(terms, bps), window), float(terms.cash)
                ),
            )
            for bps in SLIPPAGE_LEVELS
        )
        return Passed(run_portfolio(panel, inputs.names, ranked, terms, window), levels)
    from services.research.backtest.gated_run import gate_rules, run_with_gate

    rules = gate_rules(settings.config.rules, allow_shorts=inputs.allow_shorts)
    passed = run_with_gate(panel, tables, found, ranked, terms, rules, window)
    levels = tuple(
        cost_level(bps, daily_returns(equity, float(terms.cash)))
        for bps, equity in same_trades(passed.result, window.first, inputs.slippage_bps)
    )
    note = f"The gate moved to reducing {passed.reduced}; no entry was let through after that."
    return Passed(passed.result, levels, (note,) if passed.reduced else ())


def same_trades(
    result: SimulationResult, first: int, usual: Decimal
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """(level, equity) without asking the gate again."""
    for bps in SLIPPAGE_LEVELS:
        yield bps, equity_at(result, first, bps=float(bps), instead_of=float(usual))


def _id(
    inputs: Inputs, strategies: tuple[SelectedStrategy, ...], market: Dataset, settings: Settings
) -> str:
    """The run's id; the gate's limits are part of a gated run's, and of no other."""
    code = [settings.code_digest, *(each.digest for each in strategies if not each.is_built_in)]
    return inputs.digest(
        market.digest, "|".join([*code, settings.config_pin] if inputs.policy else code)
    )


def summary(run: Run) -> JsonObject:
    """The contents of summary.json: the same wherever and whenever it was run."""
    panel, trades = run.market.panel, run.result.trades
    return {
        "kind": KIND,
        "id": run.id,
        "inputs": _describe_inputs(run),
        "digests": run.digests,
        "code_version": run.code_version,
        "config_pin": run.config_pin,
        "period": {
            "first": run.sessions[0],
            "last": run.sessions[1],
            "sessions": run.metrics.sessions,
        },
        "universe": {"symbols": len(panel.symbols), "bars": int((~np.isnan(panel.close)).sum())},
        "head": run.head,
        "metrics": run.metrics,
        "costs": run.costs,
        "benchmark": benchmarks.benchmark_metrics(run.benchmark, run.result.starting_cash)
        if run.benchmark
        else None,
        "fees": float(trades.fees.sum()),
        "signals": {name: table.size for name, table in run.tables},
        "not_taken": {reason: count for reason, count in run.result.skipped.items() if count},
        "exits": _exits(run),
        "refused_bars": run.market.refused,
        "warnings": run.warnings,
    }


def _describe_inputs(run: Run) -> JsonObject:
    """The inputs without folders; strategies with every parameter."""
    described: JsonObject = msgspec.to_builtins(run.inputs)
    described.pop("folder")
    described["bars"] = run.market.source
    described["symbols"] = list(run.market.panel.symbols) if run.inputs.symbols else "all"
    described["strategies"] = {each.name: asdict(each.params) for each in run.strategies}
    return described


def _exits(run: Run) -> dict[str, int]:
    reasons = run.result.trades.reasons()
    return {str(reason): reasons.count(reason) for reason in dict.fromkeys(sorted(reasons))}


def files(run: Run) -> dict[str, str]:
    """Every data artifact by name, ready for `artifacts.write_run`."""
    return {
        "trade_list.csv": artifacts.trade_list(run.market.panel, run.result),
        "equity_curve.csv": artifacts.equity_curve(run.result),
        "summary.json": artifacts.json_text(summary(run)),
    }


def trial_of(run: Run, kind: str) -> Trial:
    """The run as a trial for the ledger."""
    returns = daily_returns(run.result.equity, run.result.starting_cash)
    return trial(
        kind=kind,
        run=run.id,
        strategies={each.name: asdict(each.params) for each in run.strategies},
        terms=run.inputs.terms,
        first=run.sessions[0],
        last=run.sessions[1],
        sharpe=sharpe_per_session(returns),
    )
