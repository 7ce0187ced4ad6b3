"""`kobe paper`: from two keys to a trading paper stack on this machine."""

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from services.console.cli.data_fetch import EnvFile, fetch
from services.console.cli.output import AsJson, print_json, terminal
from services.console.stack.paper_stack import FOLDER, supervisor_pid
from services.console.stack.preflight import exit_code, run_checks
from services.console.stack.vendor_settings import command_environ
from services.data_fetcher.backfill.progress import duration
from services.data_fetcher.bar_columns import NEW_YORK
from shared.domain.errors import UserError
from shared.domain.market.timetable import Timetable, slots
from shared.runtime.calendar.xnys import Xnys
from shared.runtime.config.settings import Settings, load_settings
from shared.runtime.recorded_time import clock_of

app = typer.Typer(help="Trade on Alpaca's paper account, on this machine.", no_args_is_help=True)

START_SECONDS = 120.0
"""Seven interpreters start at once, on a busy machine of two cores."""
STOP_SECONDS = 30.0
POLL_SECONDS = 0.2
DAYS_AHEAD = 7
NO_STACK = 2


@app.command()
def start(
    env_file: EnvFile = None,
    folder: Annotated[Path, typer.Option(help="Where everything of it is kept.")] = FOLDER,
    skip_checks: Annotated[
        bool, typer.Option("--skip-checks", help="Start without asking broker and data first.")
    ] = False,
) -> None:
    """Check keys and addresses, fetch the universe's bars, start the services, say when they scan.

    They run in the background and end with `kobe paper stop`; whatever ends by itself is started
    again. Started again, it goes on with the same books.
    """
    if supervisor_pid(folder):
        raise UserError("Paper is running already; `kobe paper status` shows it.")
    environ = {**command_environ(env_file, os.environ), "KOBE_MODE": "paper"}
    archive = folder / "archive"
    if not skip_checks:
        _check(environ)
    fetch(archive=archive, env_file=env_file)
    _spawn(folder, environ)
    settings = load_settings(environ)
    terminal.print(f"Paper runs. {next_scan(settings, clock_of(settings.environment).now())}.")
    terminal.print("Look: kobe status, kobe positions, kobe logs --follow. End: kobe paper stop.")


@app.command()
def stop(
    folder: Annotated[Path, typer.Option(help="Where everything of it is kept.")] = FOLDER,
) -> None:
    """Stop the services; protective orders stay at the broker."""
    pid = supervisor_pid(folder)
    if pid is None:
        raise UserError("Paper is not running here.", exit_code=NO_STACK)
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    while supervisor_pid(folder) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    if supervisor_pid(folder):
        raise UserError(f"Process {pid} does not end; look into {folder / 'logs'}.")
    terminal.print("Paper is stopped. Protective orders stay at the broker.")


@app.command()
def status(
    folder: Annotated[Path, typer.Option(help="Where everything of it is kept.")] = FOLDER,
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Show whether paper runs, and when it scans next."""
    pid = supervisor_pid(folder)
    settings = load_settings({**command_environ(env_file, os.environ), "KOBE_MODE": "paper"})
    scan = next_scan(settings, clock_of(settings.environment).now())
    if as_json:
        print_json({"running": pid is not None, "pid": pid, "next": scan})
    else:
        terminal.print(
            f"Paper runs (process {pid}). {scan}." if pid else "Paper is not running here."
        )
    if pid is None:
        raise typer.Exit(1)


def next_scan(settings: Settings, now: dt.datetime) -> str:
    """Such as `Next scan 09:35 New York, in 14 h 12 min`."""
    table = settings.config.timetable
    timetable = Timetable(
        open_slot=dt.time.fromisoformat(table.open_slot),
        retry_slots=tuple(map(dt.time.fromisoformat, table.retry_slots)),
        before_close=dt.timedelta(minutes=table.close_slot_minutes_before_close),
    )
    today = now.astimezone(NEW_YORK).date()
    calendar = Xnys(today, today + dt.timedelta(days=DAYS_AHEAD))
    day = today
    while True:
        hours = calendar.session_on_or_after(day)
        coming = [slot.at for slot in slots(hours, timetable) if slot.at > now]
        if coming:
            at = coming[0].astimezone(NEW_YORK)
            when = f"{at:%H:%M}" if at.date() == today else f"{at:%A %H:%M}"
            return f"Next scan {when} New York, in {duration((coming[0] - now).total_seconds())}"
        day = hours.session + dt.timedelta(days=1)


def _check(environ: dict[str, str]) -> None:
    """Raises UserError with the first failure."""
    results = run_checks(environ)
    for result in results:
        if result.exit_code and result.what != "Redis":  # paper brings its own
            raise UserError(f"{result.what}: {result.sentence}.", exit_code=exit_code(results))


def _spawn(folder: Path, environ: dict[str, str]) -> None:
    """Raises UserError with the supervisor's last words if it does not come up."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "supervisor.log"
    address = folder / "address.json"
    address.unlink(missing_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.console.stack.paper_stack", str(folder.absolute())],
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    until = time.monotonic() + START_SECONDS
    while not address.exists():
        if process.poll() is not None or time.monotonic() > until:
            lines = log.read_text(errors="replace").strip().splitlines()
            words = lines[-1].removeprefix("kobe: ") if lines else "it said nothing"
            raise UserError(f"Paper did not start: {words}", exit_code=process.returncode or 1)
        time.sleep(POLL_SECONDS)
