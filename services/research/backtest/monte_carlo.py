"""Monte Carlo: what the same trades, and the same days, would have made in other orders and proportions.

Called by `kobe montecarlo`, on a run just made or on the folder of one. Blocks are drawn, not
single ones, so that losses that come together stay together; every draw is from the seed. It says
nothing of days unlike those it has.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.research.backtest.run import Run
from services.research.engine.overfitting import bootstrap_band, stationary_bootstrap
from services.research.engine.performance import daily_returns
from services.research.reports import artifacts
from services.research.reports.svg_charts import Series, chart, legend, money
from shared.domain.errors import UserError

KIND = "montecarlo"
AT_ONCE = 2_000_000
"""Draws in memory at a time."""
CUTS = (0.05, 0.25, 0.5, 0.75, 0.95)
FEWEST = 10
RUIN = -0.5
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What is drawn from: pnl of the trades in order of exit, equity at each close, and where it began."""

    id: str
    names: tuple[str, ...]
    start: float
    sessions: NDArray[np.datetime64]
    equity: Floats
    pnl: Floats


class Draws(msgspec.Struct, frozen=True, kw_only=True):
    samples: int = 2_000
    block: float = 20.0
    """Mean length of a block: so many trades, so many sessions."""
    seed: int = 81


class Spread(msgspec.Struct, frozen=True):
    """Quantiles at CUTS over the samples."""

    total_return: tuple[float, ...]
    max_drawdown: tuple[float, ...]
    loss_probability: float
    """Of ending below the beginning."""
    ruin_probability: float
    """Of losing half on the way."""


def history_of(made: Run) -> History:
    trades = made.result.trades
    order = np.argsort(trades.exit_column, kind="stable")
    result = made.result
    return History(
        made.id,
        made.inputs.names,
        result.starting_cash,
        result.sessions,
        result.equity,
        trades.pnl[order],
    )


def read_history(folder: Path) -> History:
    """Of a folder that `kobe backtest --out` wrote. UserError if it is none."""
    try:
        told = msgspec.json.decode((folder / "summary.json").read_bytes())
        if told["kind"] != "backtest":
            raise KeyError("kind")
        curve = list(csv.DictReader((folder / "equity_curve.csv").read_text().splitlines()))
        trades = list(csv.DictReader((folder / "trade_list.csv").read_text().splitlines()))
        trades.sort(key=lambda row: row["exit_session"])
        return History(
            told["id"],
            tuple(told["inputs"]["strategies"]),
            float(told["metrics"]["start_equity"]),
            np.array([row["session"] for row in curve], "datetime64[D]"),
            np.array([float(row["equity"]) for row in curve]),
            np.array([float(row["pnl"]) for row in trades]),
        )
    except (OSError, KeyError, ValueError, TypeError, msgspec.DecodeError) as error:
        raise UserError(
            f"{folder} is not the folder of a backtest: write one with `kobe backtest --out`."
        ) from error


def summary(history: History, draws: Draws) -> dict[str, Any]:
    """What summary.json holds and `--json` prints. UserError: too little to draw from."""
    if history.pnl.size < FEWEST or history.sessions.size < FEWEST:
        raise UserError(
            f"{history.pnl.size} trades in {history.sessions.size} sessions are too few to draw from."
        )
    if draws.samples < 1 or draws.block < 1:
        raise UserError("--samples and --block must be at least 1.", exit_code=64)
    returns = daily_returns(history.equity, history.start)
    return {
        "kind": KIND,
        "run": history.id,
        "strategies": list(history.names),
        "draws": draws,
        "cuts": CUTS,
        "trades": _of_trades(history, draws),
        "days": _of_days(returns, draws),
        "actual": {
            "total_return": float(history.equity[-1] / history.start - 1),
            "max_drawdown": _fall(returns),
        },
    }


def files(history: History, draws: Draws) -> dict[str, str]:
    """Every artifact by its name."""
    told = summary(history, draws)
    return {
        "summary.json": artifacts.json_text(told),
        "montecarlo.html": _render(history, draws, told),
    }


def _of_trades(history: History, draws: Draws) -> Spread:
    """Sums of drawn profits on the money at the beginning, which every trade is measured against."""
    share = history.pnl / history.start
    ends, falls = [], []
    for drawn in _drawn(share, draws):
        equity = 1.0 + np.cumsum(drawn, axis=1)
        ends.append(equity[:, -1] - 1.0)
        falls.append(_deepest(equity))
    return _spread(np.concatenate(ends), np.concatenate(falls))


def _of_days(returns: Floats, draws: Draws) -> Spread:
    ends, falls = [], []
    for drawn in _drawn(returns, draws):
        equity = np.cumprod(1.0 + drawn, axis=1)
        ends.append(equity[:, -1] - 1.0)
        falls.append(_deepest(equity))
    return _spread(np.concatenate(ends), np.concatenate(falls))


def _drawn(values: Floats, draws: Draws) -> Any:
    """Rows of drawn values, some samples at a time."""
    step = max(1, AT_ONCE // values.size)
    for number, begin in enumerate(range(0, draws.samples, step)):
        count = min(step, draws.samples - begin)
        places = stationary_bootstrap(
            values.size, samples=count, mean_block=draws.block, seed=draws.seed + number
        )
        yield values[places]


def _deepest(equity: NDArray[np.floating[Any]]) -> Floats:
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    found: Floats = (equity / peak - 1.0).min(axis=1)
    return found


def _spread(ends: Floats, falls: Floats) -> Spread:
    return Spread(
        tuple(np.quantile(ends, CUTS).tolist()),
        tuple(np.quantile(falls, CUTS).tolist()),
        float((ends < 0).mean()),
        float((falls <= RUIN).mean()),
    )


def _fall(returns: Floats) -> float:
    return float(_deepest(np.cumprod(1.0 + returns)[None, :])[0])


def _render(history: History, draws: Draws, told: dict[str, Any]) -> str:
    from services.research.backtest.html_report import templates

    returns = daily_returns(history.equity, history.start)
    band = bootstrap_band(
        returns, samples=min(draws.samples, 2_000), mean_block=draws.block, seed=draws.seed
    )
    low, middle, high = band.equity * history.start
    lines = [
        Series("nine of ten lie within", high, "edge"),
        Series("", low, "edge"),
        Series("middle", middle, "theirs"),
        Series("as it was", history.equity, "ours"),
    ]
    picture = legend([lines[3], lines[2], lines[0]]) + chart(
        history.sessions, lines, money, height=300, title="Reordered days"
    )
    plain = msgspec.to_builtins(told, builtin_types=())
    return (
        templates()
        .get_template("montecarlo.html.j2")
        .render(told=plain, picture=picture, start=history.start)
    )
