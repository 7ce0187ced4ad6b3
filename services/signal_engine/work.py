"""Computes the scans that are due, over the memory-mapped archive. It writes nothing.

The whole history up to the last completed session is scanned, exactly as a backtest does; the last
column is taken.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from services.signal_engine.handlers import PendingScan, ScanResult, State, ready
from services.signal_engine.scan import EnabledStrategy, last_signals, tables
from shared.domain.errors import TransientError, UserError
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.domain.trading.exits import exits_due
from shared.runtime.archive.archive import BarArchive
from shared.runtime.clock import Clock
from shared.runtime.observability.log import Log
from shared.runtime.runner.contract import Outcome
from shared.schemas.fields import is_symbol
from shared.schemas.messages import BarsReady
from shared.schemas.values import Signal, Slot

IDLE_SECONDS = 60.0
"""There is nothing to poll: every scan begins with a message, which ends the wait."""


class SignalEngineWork:
    """`log` is called with an event's name and its fields."""

    def __init__(
        self, archive: Path, strategies: Sequence[EnabledStrategy], clock: Clock, log: Log
    ) -> None:
        self._folder, self._strategies, self._clock, self._log = archive, strategies, clock, log
        self._view: tuple[BarArchive, Panel] | None = None

    def recover(self, state: State) -> None:
        """Load the compiled strategies before the first scan has to be fast."""
        try:
            tables(_tiny(), self._strategies)
        except Exception as error:  # noqa: BLE001  a user's strategy may raise anything
            self._log.error("strategy_failed", error=repr(error))

    def act(self, state: State) -> Outcome | None:
        wish = ready(state)
        if wish is None or wish.bars is None:
            return None
        found = self._scan(wish, wish.bars, state)
        scan = wish.scan
        return Outcome(found, at=self._clock.now(), session=scan.session, correlation_id=scan.id)

    def wait(self, state: State) -> float:
        return IDLE_SECONDS

    def _scan(self, wish: PendingScan, bars: BarsReady, state: State) -> ScanResult:
        scan = wish.scan
        if not bars.digest:
            return ScanResult(
                scan=scan, exits=(), signals=(), bars_digest="", aborted="there are no bars"
            )
        archive, whole = self._open_view(bars)
        panel = whole.through(np.datetime64(scan.last_completed))
        found, signals, aborted = (
            self._run(panel, bars) if scan.slot is not Slot.CLOSE else ({}, (), "")
        )
        # A panel that ends earlier has no signals for this session: what it would name is of an
        # older one.
        current = panel.sessions.size and panel.sessions[-1] == np.datetime64(scan.last_completed)
        if not bars.sufficient:
            aborted = f"only {bars.coverage} of the symbols have the bar of {scan.last_completed}"
        return ScanResult(
            scan=scan,
            exits=exits_due(panel, state.positions.values(), scan.slot, found),
            signals=signals if current and not aborted else (),
            bars_digest=archive.digest(scan.last_completed),
            aborted=aborted,
        )

    def _run(
        self, panel: Panel, bars: BarsReady
    ) -> tuple[dict[str, SignalTable], tuple[Signal, ...], str]:
        """Run each strategy; one that fails aborts the scan's entries and its own exits only."""
        found: dict[str, SignalTable] = {}
        signals: list[Signal] = []
        aborted = ""
        for enabled in self._strategies:
            try:
                table = tables(panel, [enabled])
                signals += last_signals(panel, table, without=bars.stale)
                found |= table
            except Exception as error:  # noqa: BLE001  a user's strategy may raise anything
                aborted = f"the strategy {enabled.name} failed: {type(error).__name__}: {error}"[
                    :500
                ]
                self._log.error(
                    "strategy_failed", strategy=enabled.name, error=repr(error), exc_info=True
                )
        return found, tuple(signals), aborted

    def _open_view(self, bars: BarsReady) -> tuple[BarArchive, Panel]:
        """A view of at least the bars the data-fetcher speaks of; late ones may have come since."""
        if self._view is None or self._view[0].digest(bars.through) != bars.digest:
            try:
                archive = BarArchive.open(self._folder)
                self._view = archive, archive.panel()
                self._log_untradable(archive.symbols)
            except UserError as error:
                raise TransientError(f"the bar archive cannot be read: {error}") from error
        return self._view

    def _log_untradable(self, symbols: Sequence[str]) -> None:
        """Indices and the like: strategies see their bars, and their signals are left out."""
        untradable = [symbol for symbol in symbols if not is_symbol(symbol)]
        if untradable:
            self._log.warning("symbols_not_tradable", symbols=untradable[:20], of=len(untradable))


def _tiny() -> Panel:
    """One symbol, two bars: enough to load what is compiled."""
    row = np.ones((1, 2))
    return Panel(
        ("A",), np.array(["2000-01-03", "2000-01-04"], "datetime64[D]"), row, row, row, row, row
    )
