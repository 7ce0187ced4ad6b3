"""`kobe demo`: real bars through the whole system on this machine, with live progress."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from services.console.cli.output import AsJson, print_facts, print_json
from services.console.demo import DemoOptions, DemoResult, run_demo
from services.console.stack.local_stack import EmbeddedStack
from services.console.views.run_summary import RunSummary

FROM_HELP = "First session, YYYY-MM-DD; without it the last ones of the bars are replayed."


def demo(
    sessions: Annotated[int, typer.Option(min=1, help="How many sessions to replay.")] = 250,
    start: Annotated[
        dt.datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help=FROM_HELP)
    ] = None,
    bars: Annotated[
        Path | None, typer.Option(help="Your own bars: a folder of CSV files or one Parquet file.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Leave secrets, Redis data, audit chain and logs here.")
    ] = None,
    pace: Annotated[float, typer.Option(min=0, help="Seconds to rest between two sessions.")] = 0.0,
    redis_port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 0,
    as_json: AsJson = False,
) -> int:
    """Replay real bars through all services and the simulated broker, then check the result.

    Exit code 0 only if the audit chain verifies, no order was duplicated, and our positions equal
    the broker's.
    """
    options = DemoOptions(
        sessions=sessions,
        start=start.date() if start else None,
        bars=bars,
        keep=keep,
        pace=pace,
        redis_port=redis_port,
    )
    screen = Console(stderr=as_json, highlight=False)
    with _Progress(screen, sessions) as progress:
        result = run_demo(
            options,
            on_start=progress.on_start,
            on_step=progress.on_step,
            on_progress=progress.on_progress,
        )
    if as_json:
        print_json(result)
    else:
        _print(result)
    return 0 if result.sound else 1


class _Progress:
    def __init__(self, screen: Console, sessions: int) -> None:
        self._screen = screen
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            console=screen,
            disable=not sys.stderr.isatty() and not sys.stdout.isatty(),
        )
        self._task: TaskID = self._bar.add_task("starting", total=sessions, facts="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_step(self, what: str) -> None:
        self._bar.update(self._task, description=f"starting {what}")

    def on_start(self, stack: EmbeddedStack) -> None:
        self._screen.print(
            "[bold]Running.[/] In another window: "
            "kobe status · kobe positions · kobe logs --follow\n"
            f"Stop new exposure:  redis-cli -u redis://kill:kill@127.0.0.1:{stack.redis_port} "
            f'PUBLISH kobe:kill "why"  ·  kobe kill "why"  ·  touch {stack.kill_file}',
            soft_wrap=True,
        )

    def on_progress(self, summary: RunSummary) -> None:
        denied = sum(summary.denied.values())
        facts = (
            f"approved {summary.approved}  denied {denied}  fills {summary.fills}  "
            f"equity ${summary.equity:,.2f}"
        )
        self._bar.update(
            self._task,
            completed=summary.sessions,
            description=summary.session or "running",
            facts=facts,
        )


def _print(result: DemoResult) -> None:
    denied = (
        ", ".join(f"{reason} {count}" for reason, count in sorted(result.denied.items())) or "none"
    )
    refused = (
        ", ".join(f"{reason} {count}" for reason, count in sorted(result.refused_bars.items()))
        or "none"
    )
    chain = "verifies" if result.chain.valid else "DOES NOT VERIFY"
    print_facts(
        "What happened",
        {
            "sessions": result.sessions,
            "bars refused": refused,
            "signals": result.signals,
            "approved": result.approved,
            "denied": f"{sum(result.denied.values())} ({denied})",
            "orders": f"{result.orders} and {result.protections} protections",
            "fills": result.fills,
            "open positions": result.open_positions,
            "equity": f"${float(result.equity):,.2f}",
            "audit chain": f"{result.chain.height} records, {chain}",
            "doubled orders": result.duplicates,
            "positions equal the broker's": "yes" if result.reconciled else "NO",
            "wall time": f"{result.seconds} s "
            f"({result.sessions / result.seconds:.1f} sessions/s, start included)",
        },
    )
