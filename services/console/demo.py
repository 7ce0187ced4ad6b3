"""The demo: real bars through the real services, session by session, then the checks.

Called by `kobe demo`. It reads the streams as any reader may and takes part in no decision.
"""

import datetime as dt
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from services.auditor.chain.trust import load_trust
from services.auditor.evidence.verify import verify_folder
from services.console.stack.address import DEMO_FILE, find_stack
from services.console.stack.client import StackClient
from services.console.stack.local_stack import EmbeddedStack
from services.console.stack.sim_broker_client import SimBrokerClient, count_duplicates
from services.console.views.demo_result import ChainSummary, DemoResult
from services.console.views.positions import quantities
from services.console.views.round_trips import round_trips
from services.console.views.run_summary import RunSummary, add_message
from shared.domain.errors import TransientError, UserError
from shared.runtime.clock import SystemClock
from shared.schemas import messages as m
from shared.schemas.json_types import JsonObject
from shared.schemas.streams import ServiceName, Stream
from shared.schemas.values import Stage

WATCHED = (
    Stream.SCHEDULE,
    Stream.BARS,
    Stream.SIGNALS,
    Stream.ORDERS,
    Stream.EXECUTIONS,
    Stream.AUDIT,
)
DEFAULT_SESSIONS = 250
"""A year: enough to see entries, stops, targets and exits, replayed within half a minute."""
POLL_SECONDS = 0.1
"""The progress bar needs no more."""
STALLED_SECONDS = 60.0
"""A session takes less than a second; a minute of silence is a fault."""
SETTLE_SECONDS = 0.7
"""The auditor writes its last block down within half a second of silence."""


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`sessions` None: as many as the bars have, DEFAULT_SESSIONS at most."""

    sessions: int | None = None
    start: dt.date | None = None
    bars: Path | None = None
    accept_flawed: bool = False
    splits: Path | None = None
    keep: Path | None = None
    pace: float = 0.0
    redis_port: int = 0


class StreamWatcher:
    """Follows the streams from their beginning and keeps the summary."""

    def __init__(self, operations: StackClient) -> None:
        self._operations = operations
        self._last = dict.fromkeys(WATCHED, "0-0")
        self.summary = RunSummary()
        self.sent: list[str] = []
        self.fills: list[m.OrderFilled] = []
        self.equity_curve: list[tuple[str, float]] = []

    def catch_up(self) -> bool:
        """Read what is new; True if there was anything."""
        moved = False
        for stream in WATCHED:
            for heard in self._operations.after(stream, self._last[stream]):
                self.summary = add_message(self.summary, heard.message)
                self._remember(heard.message)
                self._last[stream] = heard.entry_id
                moved = True
        return moved

    def _remember(self, message: m.Message) -> None:
        match message:
            case m.OrderSubmitted() | m.ProtectionPlaced():
                self.sent.append(message.client_order_id)
            case m.OrderFilled():
                self.fills.append(message)
            case m.AccountSeen(stage=Stage.MARK):
                self.equity_curve.append((message.session.isoformat(), float(message.equity)))

    def has_finished_replay(self) -> bool:
        """Whether the scheduler has no session left; the bars may hold fewer than requested."""
        return self._operations.state(ServiceName.SCHEDULER).get("finished") is True


def run_demo(
    options: DemoOptions,
    *,
    on_start: Callable[[EmbeddedStack], None],
    on_step: Callable[[str], None],
    on_progress: Callable[[RunSummary], None],
) -> DemoResult:
    """Set up, replay, stop, check.

    `on_start` gets the running stack, `on_progress` the summary whenever it changes.
    """
    begun = time.monotonic()
    with _run_folder(options.keep) as folder:
        stack = EmbeddedStack(
            folder, changes=settings_of(options), redis_port=options.redis_port, on_step=on_step
        )
        with _announce(stack), _sigterm_interrupts():
            if options.keep is None:
                stack.tether.delete(folder)
            on_start(stack)
            operations = StackClient(stack.address)
            watch = StreamWatcher(operations)
            _follow(stack, watch, options, on_progress)
            broker = SimBrokerClient(stack.address.broker_url)
            reconciled = _positions_match(operations, broker)
            orders, equity = broker.orders(), broker.equity()
        trust = load_trust(folder / "secrets/console/public_keys.json")
        verdict = verify_folder(folder / "audit", trust=trust, as_of=SystemClock().now())
        summary = watch.summary
        return DemoResult(
            requested=options.sessions or 0,
            sessions=summary.sessions,
            signals=summary.signals,
            approved=summary.approved,
            denied=summary.denied,
            orders=summary.orders,
            protections=summary.protections,
            fills=summary.fills,
            open_positions=summary.open_positions,
            equity=str(equity),
            chain=ChainSummary(height=verdict.height, valid=verdict.exit_code == 0),
            duplicates=count_duplicates(orders, watch.sent),
            reconciled=reconciled and not summary.drift,
            refused_bars=summary.refused_bars,
            seconds=round(time.monotonic() - begun, 1),
            trades=round_trips(watch.fills),
            equity_curve=watch.equity_curve,
        )


def settings_of(options: DemoOptions) -> JsonObject:
    """What differs from kobe.toml. Raises UserError if there are no bars where options say."""
    changes: JsonObject = {
        "sim.timetable.sessions": options.sessions or DEFAULT_SESSIONS,
        "sim.timetable.start": options.start.isoformat() if options.start else "",
        "sim.timetable.pace_seconds": options.pace,
        "sim.timetable.loop": False,
    }
    if options.bars:
        if not options.bars.exists():
            raise UserError(
                f"There are no bars at {options.bars}; name an existing folder or Parquet file."
            )
        changes |= {
            "sim.bars.vendor": "folder",
            "sim.bars.folder": str(options.bars.absolute()),
            "sim.bars.accept_flawed": options.accept_flawed,
            "sim.bars.splits": str(options.splits.absolute()) if options.splits else "",
        }
    return changes


@contextmanager
def _run_folder(keep: Path | None) -> Iterator[Path]:
    """The folder the run lives in: kept where asked for, else gone afterwards."""
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise UserError(f"{keep} is not empty; --keep needs a folder of its own.")
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="kobe-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _announce(stack: EmbeddedStack) -> Iterator[None]:
    """While it runs, `kobe status` and the other commands find it; a second demo is refused."""
    if DEMO_FILE.exists() and _is_answering():
        raise UserError(
            "A demo is already running here; let it finish, or stop it with Ctrl-C in its window."
        )
    try:
        with stack:
            stack.announce(DEMO_FILE)
            stack.tether.delete(DEMO_FILE)
            yield
    finally:
        DEMO_FILE.unlink(missing_ok=True)


def _is_answering() -> bool:
    try:
        return bool(StackClient(find_stack({})).lease_holders())
    except (TransientError, UserError):
        return False


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM ends a demo as Ctrl-C does: everything it started is stopped."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _follow(
    stack: EmbeddedStack,
    watch: StreamWatcher,
    options: DemoOptions,
    on_progress: Callable[[RunSummary], None],
) -> None:
    """Until all sessions are closed and the auditor has written the last of them down."""
    moved_at = time.monotonic()
    while True:
        if watch.catch_up():
            moved_at = time.monotonic()
            on_progress(watch.summary)
        quiet = time.monotonic() - moved_at
        if _is_finished(watch, options.sessions or DEFAULT_SESSIONS) and quiet > SETTLE_SECONDS:
            return
        failure = stack.failure()
        if failure:
            raise UserError(f"The demo cannot go on: {failure}.")
        if quiet > STALLED_SECONDS:
            raise UserError(
                f"Nothing has happened for {STALLED_SECONDS:.0f} s; "
                f"the logs are in {stack.folder / 'logs'}."
            )
        time.sleep(POLL_SECONDS)


def _is_finished(watch: StreamWatcher, sessions: int) -> bool:
    return watch.summary.sessions >= sessions or watch.has_finished_replay()


def _positions_match(operations: StackClient, broker: SimBrokerClient) -> bool:
    """Whether the executor's positions equal the broker's, share by share."""
    return quantities(operations) == broker.positions()
