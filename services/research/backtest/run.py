"""One backtest from inputs to artifacts: bars, signals, one portfolio pass, metrics, files.

Called by `kobe backtest` and by queue workers. The same inputs give the same bytes; it prints
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import numpy as np

from services.research.backtest import benchmark as benchmarks, caveats
from services.research.backtest.benchmark import Benchmark
from services.research.data.dataset import Market, columns, open_market
from services.research.data.inputs import Inputs
from services.research.engine.outcomes import outcomes, rank
from services.research.engine.performance import Metrics, measure
from services.research.engine.portfolio_kernels import Window
from services.research.engine.simulate import SimulationResult, between, run
from services.research.reports import artifacts
from services.research.strategy_check.selection import Chosen, chosen, refuse_too_short, signals_of
from shared.domain.errors import UserError
from shared.domain.market.signal_table import SignalTable
from shared.runtime.config.settings import Settings, load_settings

KIND = "backtest"


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Everything that artifacts and reports are made of. `tables` are over the market's whole panel."""

    id: str
    inputs: Inputs
    picked: tuple[Chosen, ...]
    market: Market
    window: Window
    tables: tuple[tuple[str, SignalTable], ...]
    result: SimulationResult
    metrics: Metrics
    held: Benchmark | None
    warnings: tuple[str, ...]
    digests: Mapping[str, Any]
    code_version: str
    config_pin: str

    @property
    def sessions(self) -> tuple[str, str]:
        """The first and the last session simulated."""
        return str(self.result.sessions[0]), str(self.result.sessions[-1])


def backtest(inputs: Inputs, environ: Mapping[str, str], market: Market | None = None) -> Run:
    """Run it. UserError for bad input, in one sentence; `market` spares opening bars that are open already."""
    settings, terms, picked = load_settings(environ), inputs.settings, chosen(inputs)
    if terms.cash <= 0:
        raise UserError(f"--cash must be more than 0, not {terms.cash}.", exit_code=64)
    market = market or open_market(inputs, environ)
    panel = market.panel
    window = between(panel, *columns(panel, inputs.start, inputs.end))
    refuse_too_short(panel, picked, window.last)
    tables = tuple((each.name, signals_of(panel, each)) for each in picked)
    result, said = _passed(inputs, market, tables, window, settings)
    warnings = (
        *caveats.of_market(market, window.first, window.last),
        *caveats.of_result(result, result.skipped),
    )
    digests = {"bars": market.digest, "strategies": {each.name: each.digest for each in picked}}
    return Run(
        id=_id(inputs, picked, market, settings),
        inputs=inputs,
        picked=picked,
        market=market,
        window=window,
        tables=tables,
        result=result,
        metrics=measure(result),
        held=benchmarks.benchmark(market, window.first, window.last, result.starting_cash),
        warnings=(*said, *warnings),
        digests=digests,
        code_version=settings.code_digest,
        config_pin=settings.config_pin,
    )


def _passed(
    inputs: Inputs,
    market: Market,
    tables: tuple[tuple[str, SignalTable], ...],
    window: Window,
    settings: Settings,
) -> tuple[SimulationResult, tuple[str, ...]]:
    """The portfolio pass, and what is to be said about it."""
    found = [outcomes(market.panel, name, table) for name, table in tables]
    ranked = rank(market.panel, found)
    if not inputs.policy:
        return run(market.panel, inputs.names, ranked, inputs.settings, window), ()
    from services.research.backtest.gated_run import rules_of, run_policy

    rules = rules_of(settings.steering, allow_shorts=inputs.allow_shorts)
    passed = run_policy(market.panel, tables, found, ranked, inputs.settings, rules, window)
    said = (f"The gate moved to reducing {passed.reduced}; no entry was let through after that.",)
    return passed.result, said if passed.reduced else ()


def _id(inputs: Inputs, picked: tuple[Chosen, ...], market: Market, settings: Settings) -> str:
    """The gate's limits are part of a policy run, and of no other."""
    code = [settings.code_digest, *(each.digest for each in picked if not each.ours)]
    return inputs.digest(
        market.digest, "|".join([*code, settings.config_pin] if inputs.policy else code)
    )


def summary(made: Run) -> dict[str, Any]:
    """What summary.json holds and `--json` prints: nothing in it depends on where or when it was run."""
    panel, trades = made.market.panel, made.result.trades
    return {
        "kind": KIND,
        "id": made.id,
        "inputs": _told(made),
        "digests": made.digests,
        "code_version": made.code_version,
        "config_pin": made.config_pin,
        "period": {
            "first": made.sessions[0],
            "last": made.sessions[1],
            "sessions": made.metrics.sessions,
        },
        "universe": {"symbols": len(panel.symbols), "bars": int((~np.isnan(panel.close)).sum())},
        "metrics": made.metrics,
        "benchmark": benchmarks.facts(made.held, made.result.starting_cash) if made.held else None,
        "fees": float(trades.fees.sum()),
        "signals": {name: table.size for name, table in made.tables},
        "not_taken": {reason: count for reason, count in made.result.skipped.items() if count},
        "exits": _exits(made),
        "refused_bars": made.market.refused,
        "warnings": made.warnings,
    }


def _told(made: Run) -> dict[str, Any]:
    """The inputs without folders; strategies with every parameter."""
    told: dict[str, Any] = msgspec.to_builtins(made.inputs)
    told.pop("folder")
    told["bars"] = made.market.source
    told["symbols"] = list(made.market.panel.symbols) if made.inputs.symbols else "all"
    told["strategies"] = {each.name: asdict(each.params) for each in made.picked}
    return told


def _exits(made: Run) -> dict[str, int]:
    reasons = made.result.trades.reasons()
    return {str(reason): reasons.count(reason) for reason in dict.fromkeys(sorted(reasons))}


def files(made: Run) -> dict[str, str]:
    """Every data artifact by its name, ready for `artifacts.write_run`."""
    return {
        "trade_list.csv": artifacts.trade_list(made.market.panel, made.result),
        "equity_curve.csv": artifacts.equity_curve(made.result),
        "summary.json": artifacts.json_text(summary(made)),
    }
