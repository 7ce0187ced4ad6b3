"""Monte Carlo: the same trades and days of a run in other orders and proportions.

Called by `kobe montecarlo`, on a new run or on the folder of one. It draws blocks rather than
single trades or days, so that losses that come together stay together; every draw follows from the
seed. It says nothing about days unlike those it has.
"""

import csv
import math
from collections.abc import Iterable
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
from services.research.reports.pages import templates
from services.research.reports.svg_charts import Series, chart, legend, money
from shared.domain.errors import UserError
from shared.schemas.json_types import JsonObject

KIND = "montecarlo"
AT_ONCE = 2_000_000
"""Draws in memory at a time: 16 MB of float64."""
BACKTEST, WALK_FORWARD = "summary.json", "wf_summary.json"
CUTS = (0.05, 0.25, 0.5, 0.75, 0.95)
FEWEST = 10
"""With fewer trades or sessions every draw is nearly the same."""
RUIN = -0.5
"""A loss of half: few go on after it, and it takes a doubling to recover."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What is drawn from, in dollars: profit of each session that closed trades, and equity.

    Trades that close together lose together: their session is drawn, never one of them.
    """

    id: str
    names: tuple[str, ...]
    start: float
    sessions: NDArray[np.datetime64]
    equity: Floats
    closed: Floats
    trades: int


class DrawSettings(msgspec.Struct, frozen=True, kw_only=True):
    samples: int = 2_000
    block: float = 20.0
    """Mean length of a block, in sessions."""
    seed: int = 81


class Quantiles(msgspec.Struct, frozen=True):
    """Quantiles at CUTS over the samples."""

    total_return: tuple[float, ...]
    max_drawdown: tuple[float, ...]
    loss_probability: float
    """Of ending below the beginning."""
    ruin_probability: float
    """Of losing half on the way."""


def history_of(run: Run) -> History:
    result = run.result
    return History(
        run.id,
        run.inputs.names,
        result.starting_cash,
        result.sessions,
        result.equity,
        by_session(result.trades.exit_column, result.trades.pnl),
        len(result.trades),
    )


def by_session(exits: NDArray[Any], pnl: Floats) -> Floats:
    """The profit of each session that closed trades, in order; `exits` sort as sessions do."""
    _, place = np.unique(exits, return_inverse=True)
    closed: Floats = np.bincount(place.ravel(), weights=pnl).astype(np.float64)
    return closed if pnl.size else np.zeros(0)


def read_history(folder: Path, account: str = "") -> History:
    """The history in a folder that `kobe backtest` or `kobe walk-forward` wrote.

    Of a walk-forward that of `account`, its first by default. Raises UserError if it is no such
    folder.
    """
    try:
        if (folder / BACKTEST).is_file():
            return _read_backtest(folder)
        return _read_walk_forward(folder, account)
    except (OSError, KeyError, ValueError, TypeError, msgspec.DecodeError) as error:
        raise UserError(
            f"{folder} is not the folder of a backtest or walk-forward: write one with "
            "`kobe backtest --out`."
        ) from error


def _read_backtest(folder: Path) -> History:
    facts = msgspec.json.decode((folder / BACKTEST).read_bytes())
    start = float(facts["metrics"]["start_equity"])
    trades = _rows(folder / "trade_list.csv")
    return _history(facts["id"], facts["inputs"]["strategies"], start, folder, trades)


def _read_walk_forward(folder: Path, account: str) -> History:
    facts = msgspec.json.decode((folder / WALK_FORWARD).read_bytes())
    accounts = facts["strategies"]
    name = account or next(iter(accounts))
    if name not in accounts:
        raise UserError(f"{folder} has no account {name!r}, but {', '.join(accounts)}.")
    start = float(accounts[name]["metrics"]["start_equity"])
    splits = sorted((folder / name).glob("split_*/trade_list.csv"))
    trades = [row for split in splits for row in _rows(split)]
    return _history(facts["id"], [name], start, folder / name, trades)


def _history(
    run: str, names: Iterable[str], start: float, folder: Path, trades: list[dict[str, str]]
) -> History:
    curve = _rows(folder / "equity_curve.csv")
    exits = np.array([row["exit_session"] for row in trades], "datetime64[D]")
    pnl = np.array([float(row["pnl"]) for row in trades])
    return History(
        run,
        tuple(names),
        start,
        np.array([row["session"] for row in curve], "datetime64[D]"),
        np.array([float(row["equity"]) for row in curve]),
        by_session(exits, pnl),
        len(trades),
    )


def _rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


def summary(history: History, draws: DrawSettings) -> JsonObject:
    """The contents of the JSON summary.

    Raises UserError if there are too few trades or sessions to draw from.
    """
    if history.closed.size < FEWEST or history.sessions.size < FEWEST:
        raise UserError(
            f"{history.trades} trades in {history.sessions.size} sessions are too few to draw "
            "from; use a longer run."
        )
    if draws.samples < 1 or not 1 <= draws.block < math.inf:
        raise UserError("--samples and --block must be numbers of at least 1.", exit_code=64)
    returns = daily_returns(history.equity, history.start)
    return {
        "kind": KIND,
        "run": history.id,
        "strategies": list(history.names),
        "draws": draws,
        "cuts": CUTS,
        "trade_sessions": _draw_trades(history, draws),
        "days": _draw_days(returns, draws),
        "actual": {
            "total_return": float(history.equity[-1] / history.start - 1),
            "max_drawdown": _max_drawdown(returns),
        },
    }


def files(history: History, draws: DrawSettings) -> dict[str, str]:
    """Every artifact by name."""
    facts = summary(history, draws)
    return {
        "montecarlo.json": artifacts.json_text(facts),
        "montecarlo.html": _render(history, draws, facts),
    }


def _draw_trades(history: History, draws: DrawSettings) -> Quantiles:
    """Quantiles of the sums of drawn profits, each measured against the starting cash."""
    share = history.closed / history.start
    ends, falls = [], []
    for drawn in _draw_samples(share, draws):
        equity = 1.0 + np.cumsum(drawn, axis=1)
        ends.append(equity[:, -1] - 1.0)
        falls.append(_max_drawdowns(equity))
    return _quantiles(np.concatenate(ends), np.concatenate(falls))


def _draw_days(returns: Floats, draws: DrawSettings) -> Quantiles:
    """Quantiles of the compounded drawn returns."""
    ends, falls = [], []
    for drawn in _draw_samples(returns, draws):
        equity = np.cumprod(1.0 + drawn, axis=1)
        ends.append(equity[:, -1] - 1.0)
        falls.append(_max_drawdowns(equity))
    return _quantiles(np.concatenate(ends), np.concatenate(falls))


def _draw_samples(values: Floats, draws: DrawSettings) -> Any:
    """Rows of drawn values, some samples at a time."""
    step = max(1, AT_ONCE // values.size)
    for number, begin in enumerate(range(0, draws.samples, step)):
        count = min(step, draws.samples - begin)
        places = stationary_bootstrap(
            values.size, samples=count, mean_block=draws.block, seed=draws.seed + number
        )
        yield values[places]


def _max_drawdowns(equity: NDArray[np.floating[Any]]) -> Floats:
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    found: Floats = (equity / peak - 1.0).min(axis=1)
    return found


def _quantiles(ends: Floats, falls: Floats) -> Quantiles:
    return Quantiles(
        tuple(np.quantile(ends, CUTS).tolist()),
        tuple(np.quantile(falls, CUTS).tolist()),
        float((ends < 0).mean()),
        float((falls <= RUIN).mean()),
    )


def _max_drawdown(returns: Floats) -> float:
    return float(_max_drawdowns(np.cumprod(1.0 + returns)[None, :])[0])


def _render(history: History, draws: DrawSettings, facts: JsonObject) -> str:
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
    plain = msgspec.to_builtins(facts, builtin_types=())
    return (
        templates()
        .get_template("montecarlo.html.j2")
        .render(summary=plain, picture=picture, start=history.start)
    )
