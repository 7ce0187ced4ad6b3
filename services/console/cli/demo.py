"""`kobe demo`: real bars through the whole system on this machine, with live progress."""

import datetime as dt
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

import typer
from rich import progress as bar_parts
from rich.console import Console

from services.console.cli.output import (
    AsJson,
    console,
    error_console,
    has_blocks,
    plain,
    print_facts,
    print_json,
    print_lines,
    print_rows,
)
from services.console.cli.research_options import AcceptFlawed, Adjust
from services.console.demo import DEFAULT_SESSIONS, DemoOptions, run_demo
from services.console.stack.local_stack import EmbeddedStack
from services.console.views.demo_result import DemoResult
from services.console.views.line_picture import line_picture
from services.console.views.run_summary import RunSummary
from shared.domain.errors import UserError

FROM_HELP = "First session, YYYY-MM-DD; without it the last ones of the bars are replayed."
SESSIONS_HELP = f"Sessions to replay. Default: what the bars have, {DEFAULT_SESSIONS} at most."
MOST_TRADES = 20
"""Rows in the terminal; the report has them all."""


def demo(
    sessions: Annotated[int | None, typer.Option(min=1, help=SESSIONS_HELP)] = None,
    start: Annotated[
        dt.datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help=FROM_HELP)
    ] = None,
    bars: Annotated[
        Path | None, typer.Option(help="Your own bars: a folder of CSV files or one Parquet file.")
    ] = None,
    accept_flawed: AcceptFlawed = False,
    adjust: Adjust = "",
    out: Annotated[Path, typer.Option(help="Folder for report.html.")] = Path("runs/demo"),
    keep: Annotated[
        Path | None, typer.Option(help="Leave secrets, Redis data, audit chain and logs here.")
    ] = None,
    pace: Annotated[float, typer.Option(min=0, help="Seconds to rest between two sessions.")] = 0.0,
    redis_port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 0,
    as_json: AsJson = False,
) -> int:
    """Replay real bars through all services and the simulated broker.

    Then the result is checked, and what was traded is shown and written to report.html.
    """
    options = DemoOptions(
        sessions=sessions,
        start=start.date() if start else None,
        bars=bars,
        accept_flawed=accept_flawed,
        splits=Path(adjust).expanduser() if adjust else None,
        keep=keep,
        pace=pace,
        redis_port=redis_port,
    )
    screen = error_console() if as_json else console()
    with DemoScreen(screen, sessions or DEFAULT_SESSIONS) as progress:
        result = run_demo(
            options,
            on_start=progress.on_start,
            on_step=progress.on_step,
            on_progress=progress.on_progress,
        )
    written = _write_report(out, result)
    if as_json:
        print_json(
            {
                **{name: getattr(result, name) for name in result.__struct_fields__},
                "sound": result.sound,
                "faults": result.faults,
            }
        )
    else:
        _print(result, written)
    return 0 if result.sound else 1


def _write_report(out: Path, result: DemoResult) -> str:
    """Where it is, or why it could not be written: that is no fault of the run."""
    from services.console.views.traded_report import render
    from services.research.reports.artifacts import write_run

    try:
        write_run(out, {"report.html": render(result)})
    except UserError as error:
        return str(error)
    return f"Open {out / 'report.html'} to see every trade."


class DemoScreen:
    """Progress on the terminal; with --json on stderr, so that stdout holds the result alone."""

    def __init__(self, screen: Console, sessions: int) -> None:
        self._bar = bar_parts.Progress(
            bar_parts.TextColumn("{task.description}", markup=False),
            bar_parts.BarColumn(bar_width=12),
            bar_parts.MofNCompleteColumn(),
            bar_parts.TextColumn("{task.fields[facts]}", markup=False),
            bar_parts.TimeElapsedColumn(),
            console=screen,
            disable=not sys.stderr.isatty() and not sys.stdout.isatty(),
        )
        self._screen = screen
        self._task = self._bar.add_task("starting", total=sessions, facts="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_step(self, what: str) -> None:
        self._bar.update(self._task, description=f"starting {what}")

    def on_start(self, stack: EmbeddedStack) -> None:
        for line in (
            "Running. In another window: kobe status · kobe positions · kobe logs --follow",
            (
                f'Stop new exposure:  kobe kill "why"  ·  touch {stack.kill_file}  ·  '
                f"redis-cli -u redis://kill:kill@127.0.0.1:{stack.redis_port} "
                'PUBLISH kobe:kill "why"'
            ),
        ):
            self._screen.print(plain(line), soft_wrap=True)

    def on_progress(self, summary: RunSummary) -> None:
        denied = sum(summary.denied.values())
        self._bar.update(
            self._task,
            completed=summary.sessions,
            description=summary.session or "running",
            facts=f"approved {summary.approved}  denied {denied}  fills {summary.fills}  "
            f"equity ${summary.equity:,.2f}",
        )


def _print(result: DemoResult, written: str) -> None:
    _print_trades(result)
    _print_equity(result)
    print_facts("What happened", _facts(result))
    print_lines((f"✗ {fault}" for fault in result.faults), style="bold red")
    print_lines([written, f"Next: {NEXT}"])


NEXT = "kobe backtest --strategy donchian,turtle_soup --out runs/first"


def _print_trades(result: DemoResult) -> None:
    columns = ("symbol", "strategy", "qty", "in", "at", "out", "at", "why", "profit")
    rows = [
        (
            trade.symbol,
            trade.strategy,
            trade.qty,
            trade.entry_session,
            f"{trade.entry_price:.2f}",
            trade.exit_session or "open",
            "" if trade.exit_price is None else f"{trade.exit_price:.2f}",
            trade.reason,
            "" if trade.pnl is None else f"{trade.pnl:.2f}",
        )
        for trade in result.trades[-MOST_TRADES:]
    ]
    title = f"Trades, the last {len(rows)} of {len(result.trades)}"
    print_rows(title, columns, rows, empty="Nothing was traded.")


def _print_equity(result: DemoResult) -> None:
    values = [equity for _, equity in result.equity_curve]
    width = min(console().width, 100) - 12
    picture = line_picture(values, width=width, blocks=has_blocks())
    if picture:
        print_lines([f"Equity, {result.equity_curve[0][0]} to {result.equity_curve[-1][0]}"])
        print_lines(picture)


def _facts(result: DemoResult) -> dict[str, object]:
    chain = "verifies" if result.chain.valid else "DOES NOT VERIFY"
    return {
        "sessions": result.sessions,
        "bars refused": _counts(result.refused_bars),
        "signals": result.signals,
        "approved": result.approved,
        "denied": f"{sum(result.denied.values())} ({_counts(result.denied)})",
        "orders": f"{result.orders} and {result.protections} protections",
        "fills": result.fills,
        "open positions": result.open_positions,
        "equity": f"${float(result.equity):,.2f}",
        "audit chain": f"{result.chain.height} records, {chain}",
        "duplicated orders": result.duplicates,
        "positions equal the broker's": "yes" if result.reconciled else "NO",
        "wall time": f"{result.seconds} s "
        f"({result.sessions / result.seconds:.1f} sessions/s, start included)",
    }


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
