"""`kobe data fetch`.

Bars and corporate actions of a universe from a vendor into the archive, with progress.
"""

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress as RichProgress, TextColumn

from services.console.cli.output import AsJson, print_facts, print_json
from services.console.stack.vendor_settings import ask_settings, command_environ
from services.data_fetcher.backfill.fetch import FetchSource, Report, fetch_units
from services.data_fetcher.backfill.plan import FetchRequest, Unit
from services.data_fetcher.backfill.progress import Progress
from services.data_fetcher.backfill.run import Fetch, FetchResult
from services.data_fetcher.backfill.staging import Staging
from services.data_fetcher.latest_session import last_complete_session, years_before
from services.data_fetcher.vendor_registry import VendorPlace, actions_vendor, bars_vendor
from shared.domain.errors import TransientError, UserError
from shared.domain.market.adjustment import Basis
from shared.runtime.config.environment import USAGE
from shared.runtime.config.settings import Settings
from shared.runtime.config.universe_list import read_universe

VENDOR_AWAY = 4
LINE_SECONDS = 10.0
"""Where nobody watches (a log, a pipe), a line of progress so often."""
SHOWN = 10

EnvFile = Annotated[
    Path | None, typer.Option("--env-file", help="Variables, keys among them; default: .env.")
]


def fetch(
    universe: Annotated[
        str, typer.Option(help="A file of symbols, or `starter`; default: the configured universe.")
    ] = "",
    start: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day; default: the configured years ago."),
    ] = None,
    end: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day; default: the last completed session."),
    ] = None,
    vendor: Annotated[
        str, typer.Option(help="massive, alpaca, multi, yahoo, …; default: the configured one.")
    ] = "",
    basis: Annotated[
        str, typer.Option(help="raw, or split for research on split-adjusted prices.")
    ] = "raw",
    concurrency: Annotated[
        int, typer.Option(min=1, max=64, help="How many requests are under way at once.")
    ] = 4,
    archive: Annotated[
        Path | None, typer.Option(help="The archive's folder; default: KOBE_ARCHIVE_DIR.")
    ] = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="Let workers do it (`kobe data worker`).")
    ] = False,
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Fetch bars, splits and dividends into the archive.

    It goes on where it was if it is killed, or stopped by a vendor or a full disk, and started
    again.
    """
    environ = command_environ(env_file, os.environ)
    settings, place = ask_settings(environ)
    place = replace(place, basis=_basis(basis))
    request = _request(settings, place, universe, start, end, vendor)
    folder = archive or settings.environment.archive_dir
    source = FetchSource(bars_vendor(request.vendor, place), actions_vendor(request.vendor, place))
    job = Fetch(request, source, folder)
    with _show(Console(stderr=True, highlight=False), request) as report:
        result = _run(job, place, report, concurrency, environ if queue else None)
    _print(result, as_json=as_json)


def worker(
    burst: Annotated[bool, typer.Option("--burst", help="End when the queue is empty.")] = False,
) -> None:
    """Do the units of `kobe data fetch --queue`; it needs the keys and the archive's disk."""
    from services.data_fetcher.backfill.queue_jobs import work
    from shared.runtime.config.environment import read_environment

    work(read_environment(os.environ).research_redis_url, burst=burst)


def _run(
    job: Fetch, place: VendorPlace, report: Report, concurrency: int, queue: dict[str, str] | None
) -> FetchResult:
    def stage(units: Sequence[Unit], staging: Staging) -> None:
        if queue is not None:
            from services.data_fetcher.backfill.queue_jobs import stage_by_workers

            stage_by_workers(
                units, staging, job.request, environ=queue, clock=place.clock, report=report
            )
            return
        fetch_units(
            units, job.source, staging, concurrency=concurrency, clock=place.clock, report=report
        )

    try:
        return job.run(stage)
    except TransientError as error:
        raise UserError(
            f"{error}. What was fetched is kept: start the same command again to go on.",
            exit_code=VENDOR_AWAY,
        ) from error


def _basis(text: str) -> Basis:
    bases = {"raw": Basis.RAW, "split": Basis.SPLIT}
    if text not in bases:
        raise UserError(f"--basis is {text!r}; it must be raw or split.", exit_code=USAGE)
    return bases[text]


def _request(
    settings: Settings,
    place: VendorPlace,
    universe: str,
    start: dt.datetime | None,
    end: dt.datetime | None,
    vendor: str,
) -> FetchRequest:
    """Raises UserError for a universe without symbols or dates in the wrong order."""
    config = settings.config
    symbols = read_universe(universe) if universe else config.universe.symbols
    if not symbols:
        raise UserError(
            "No universe: name a file with --universe, or a list in kobe.toml's [universe].",
            exit_code=USAGE,
        )
    last = end.date() if end else last_complete_session(place.clock.now())
    first = start.date() if start else years_before(last, config.bars.history_years)
    if first > last:
        raise UserError(f"--start {first} is after --end {last}.", exit_code=USAGE)
    name = vendor or config.bars.vendor
    return FetchRequest(vendor=name, symbols=symbols, start=first, end=last, basis=place.basis)


@contextmanager
def _show(screen: Console, request: FetchRequest) -> Iterator[Report]:
    """A bar for people; lines for a log."""
    screen.print(
        f"Fetching {len(request.symbols)} symbols from {request.vendor}, {request.start} to "
        f"{request.end}."
    )
    if not screen.is_terminal:
        yield progress_lines(screen)
        return
    bar = RichProgress(
        BarColumn(bar_width=30), TextColumn("{task.fields[sentence]}"), console=screen
    )
    task = bar.add_task("", total=None, sentence="")
    with bar:
        yield lambda progress: bar.update(
            task, completed=progress.done, total=progress.total, sentence=progress.sentence
        )


def progress_lines(screen: Console) -> Report:
    """A line now and then, and one at the end."""
    shown_at = -LINE_SECONDS

    def report(progress: Progress) -> None:
        nonlocal shown_at
        if progress.seconds - shown_at >= LINE_SECONDS or progress.done == progress.total:
            shown_at = progress.seconds
            screen.print(progress.sentence)

    return report


def _print(result: FetchResult, *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    refused = ", ".join(f"{reason} {count}" for reason, count in result.refused.items()) or "none"
    without = ", ".join(result.without_bars[:SHOWN])
    more = len(result.without_bars) - SHOWN
    print_facts(
        "The archive" if result.fetched else "The archive has it all already",
        {
            "symbols": result.symbols,
            "sessions": f"{result.first} to {result.last}",
            "prices": result.basis,
            "bars refused": refused,
            "without bars": (without + (f" and {more} more" if more > 0 else "")) or "none",
            "digest": result.digest,
        },
    )
