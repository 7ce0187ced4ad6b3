"""`kobe replay` and `kobe parity`: the stack's own handlers over past sessions, in one process."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.console.cli.output import AsJson, print_json, print_rows, progress, terminal

if TYPE_CHECKING:
    from services.console.parity import Comparison
    from services.console.stack.memory_stack import Execution

DIFFERENT = 1
Sessions = Annotated[int, typer.Option("--sessions", min=1, help="How many sessions to replay.")]
From = Annotated[
    dt.datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d"], help="First session; default: the last ones."),
]
Bars = Annotated[
    Path | None,
    typer.Option("--bars", help="A folder of CSV files or one Parquet file; default: the sample."),
]


def replay(
    sessions: Sessions = 250, start: From = None, bars: Bars = None, as_json: AsJson = False
) -> None:
    """Replay past sessions through all services in one process, without Redis.

    It lists the fills.
    """
    fills = _replayed_fills(sessions, start, bars)
    if as_json:
        print_json({"sessions": sessions, "fills": fills})
        return
    columns = ("session", "symbol", "side", "purpose", "qty", "price")
    rows = [(f.session, f.symbol, f.side, f.purpose, f.qty, f.price) for f in fills]
    print_rows("Fills", columns, rows, empty="Nothing was traded.")


def parity(
    sessions: Sessions = 250, start: From = None, bars: Bars = None, as_json: AsJson = False
) -> int:
    """Compare a replay with the backtest of the same sessions, fill by fill.

    Exit code 1 if they differ; the first difference is shown.
    """
    compared = _compare_runs(sessions, start, bars)
    if as_json:
        print_json(
            {
                "equal": compared.place is None,
                "fills": len(compared.found),
                "first_difference": None if compared.place is None else compared.story,
            }
        )
    else:
        terminal.print(compared.story)
    return 0 if compared.place is None else DIFFERENT


def _compare_runs(sessions: int, start: dt.datetime | None, bars: Path | None) -> Comparison:
    from services.console import parity as engine
    from services.research.data.dataset import columns, open_dataset
    from services.research.data.inputs import Inputs

    where = str(bars) if bars else "sample"
    panel = open_dataset(Inputs(strategies=(), bars=where), os.environ).panel
    first = columns(panel, start.date(), None)[0] if start else panel.sessions.size - sessions
    last = min(first + sessions, panel.sessions.size) - 1
    inputs = engine.inputs_of_replay(
        os.environ,
        bars=where,
        signals_from=panel.sessions[max(0, first - 1)].item(),
        end=panel.sessions[last].item(),
    )
    expected = engine.backtest_fills(inputs, os.environ)
    found = _replayed_fills(sessions, start, bars)
    return engine.compare(expected, engine.without_protection(found))


def _replayed_fills(sessions: int, start: dt.datetime | None, bars: Path | None) -> list[Execution]:
    from services.console.demo import DemoOptions, settings_of
    from services.console.stack import memory_stack

    options = DemoOptions(sessions=sessions, start=start.date() if start else None, bars=bars)
    changes = settings_of(options)
    with tempfile.TemporaryDirectory(prefix="kobe-replay-") as folder, _counting(sessions) as count:
        return memory_stack.replay(Path(folder), changes, count)


@contextmanager
def _counting(sessions: int) -> Iterator[Callable[[int], None]]:
    with progress("replay", sessions) as advance:
        done = 0

        def count(now: int) -> None:
            nonlocal done
            advance(now - done)
            done = now

        yield count
