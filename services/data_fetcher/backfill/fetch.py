"""Asks a vendor for units of work, several at once, and stages each as it comes.

Called by run.py and by queue workers. What is staged is never asked for again; a fetch may be
killed at any instant.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from services.data_fetcher.backfill.plan import BarsUnit, Unit
from services.data_fetcher.backfill.progress import Progress
from services.data_fetcher.backfill.staging import Staging
from services.data_fetcher.vendor_registry import ActionsVendor, BarsVendor
from shared.runtime.clock import Clock

POLL_SECONDS = 0.5
"""How often a waiting fetch looks up, so that Ctrl-C is heard and time passes on the screen."""

Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class FetchSource:
    """The vendor, as bars and, where it has them, as corporate actions."""

    bars: BarsVendor
    actions: ActionsVendor | None

    def fetch(self, unit: Unit, staging: Staging) -> int:
        """Ask for one unit and stage it; the number of bars."""
        if isinstance(unit, BarsUnit):
            bars = self.bars.daily_bars(unit.symbols, unit.start, unit.end)
            staging.write_bars(unit, bars)
            return int(bars.row.size)
        assert self.actions is not None
        actions = self.actions.corporate_actions(unit.symbols, unit.start, unit.end)
        staging.write_actions(unit, actions)
        return 0


@dataclass(slots=True)
class Tally:
    """What a run has done so far."""

    total: int
    resumed: int
    done: int = 0
    bars: int = 0

    def progress(self, seconds: float) -> Progress:
        return Progress(
            done=self.done,
            total=self.total,
            resumed=self.resumed,
            bars=self.bars,
            seconds=seconds,
        )


def fetch_units(
    units: Sequence[Unit],
    source: FetchSource,
    staging: Staging,
    *,
    concurrency: int,
    clock: Clock,
    report: Report,
) -> None:
    """Stage every unit that is not staged yet. Raises what the first failing unit raises."""
    missing = [unit for unit in units if not staging.is_staged(unit)]
    tally = Tally(len(units), len(units) - len(missing), len(units) - len(missing))
    begun = clock.monotonic()
    report(tally.progress(0.0))
    with _Workers(missing, lambda unit: source.fetch(unit, staging), concurrency) as workers:
        for bars in workers.results(lambda: report(tally.progress(clock.monotonic() - begun))):
            tally.done += 1
            tally.bars += bars
            report(tally.progress(clock.monotonic() - begun))


class _Workers:
    """Threads that take units in their order. They are daemons.

    An interrupted fetch ends at once.
    """

    def __init__(self, units: Sequence[Unit], work: Callable[[Unit], int], count: int) -> None:
        self._work, self._count, self._left = work, count, len(units)
        self._units: queue.SimpleQueue[Unit] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[int | Exception] = queue.SimpleQueue()
        self._stopped = threading.Event()
        for unit in units:
            self._units.put(unit)

    def __enter__(self) -> Self:
        for _ in range(min(self._count, self._left)):
            threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()

    def results(self, idle: Callable[[], None]) -> Iterable[int]:
        """The bars of each unit as it is staged; `idle` is called while nothing comes."""
        while self._left:
            try:
                result = self._results.get(timeout=POLL_SECONDS)
            except queue.Empty:
                idle()
                continue
            if isinstance(result, Exception):
                raise result
            self._left -= 1
            yield result

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                unit = self._units.get_nowait()
            except queue.Empty:
                return
            try:
                self._results.put(self._work(unit))
            except Exception as error:  # noqa: BLE001  carried to the thread that waits
                self._results.put(error)
                return
