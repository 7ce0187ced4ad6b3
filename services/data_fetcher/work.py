"""Fulfils what was asked for.

Quotes of a scan first, then a scan's check of the archive, then bars.

A scan never waits long for a vendor: what cannot be had in time is said to be missing.
"""

import datetime as dt
from contextlib import suppress
from typing import Any

from services.data_fetcher.actions_check import ActionsCheck
from services.data_fetcher.archive_updater import ArchiveUpdater
from services.data_fetcher.handlers import (
    ActionsChecked,
    BarsChecked,
    QuotesFetched,
    QuoteWish,
    State,
)
from services.data_fetcher.mirrored_vendor import SessionsAfter
from services.data_fetcher.vendor_registry import QuotesVendor
from shared.domain.errors import TransientError, UserError
from shared.runtime.clock import Clock
from shared.runtime.runner.contract import Outcome
from shared.schemas.values import ScanRef

QUOTE_PATIENCE = dt.timedelta(seconds=60)
IDLE_SECONDS = 60.0
REFUSED_PAUSE = 60.0
"""Seconds until a vendor that refused is asked again.

Someone has to mend a key or a plan meanwhile.
"""


class DataFetcherWork:
    """`sessions(after, through)` is the calendar's, asked only when the archive is behind."""

    def __init__(
        self,
        updater: ArchiveUpdater,
        quotes: QuotesVendor,
        clock: Clock,
        sessions: SessionsAfter,
        actions: ActionsCheck | None = None,
    ) -> None:
        self._actions = actions
        self._updater, self._quotes, self._clock, self._sessions = updater, quotes, clock, sessions

    def recover(self, state: State) -> None:
        self._updater.ensure()

    def act(self, state: State) -> Outcome | None:
        """Raises TransientError for whatever a vendor refuses.

        So that a running service says why it waits.
        """
        try:
            return self._act(state)
        except UserError as error:
            raise TransientError(str(error), retry_after=REFUSED_PAUSE) from error

    def _act(self, state: State) -> Outcome | None:
        wish = next((each for each in state.quotes.values() if each.complete), None)
        if wish:
            return self._outcome(self._fetch_quotes(wish), wish.scan.session, wish.scan.id)
        scan = next(iter(state.scans.values()), None)
        if scan:
            return self._outcome(self._check(scan), scan.session, scan.id)
        if state.bars_due:
            self._updater.fetch(state.bars_due)
            checked = self._report_bars(state.bars_due, None)
            return self._outcome(checked, state.bars_due, f"BARS_{state.bars_due:%Y%m%d}")
        if state.actions_due and self._actions:
            through = state.actions_due
            seen = self._actions.look(through, self._updater.symbols(), state.holdings)
            outcome = ActionsChecked(through=through, seen=seen)
            return self._outcome(outcome, seen.session, f"ACTIONS_{through:%Y%m%d}")
        self._updater.settle()
        return None

    def wait(self, state: State) -> float:
        return IDLE_SECONDS

    def _fetch_quotes(self, wish: QuoteWish) -> QuotesFetched:
        """TransientError while there is patience left; then whatever is not known is unquoted."""
        quotes = {}
        try:
            quotes = self._quotes.latest_quotes(wish.symbols) if wish.symbols else {}
        except TransientError:
            if self._clock.now() - wish.since < QUOTE_PATIENCE:
                raise
        return QuotesFetched(
            key=wish.key,
            quotes=tuple(quotes[symbol] for symbol in wish.symbols if symbol in quotes),
            unquoted=tuple(symbol for symbol in wish.symbols if symbol not in quotes),
        )

    def _check(self, scan: ScanRef) -> BarsChecked:
        if not self._updater.holds(scan.last_completed):
            with suppress(
                TransientError
            ):  # the slot does not wait: missing coverage is said instead
                self._updater.fetch(scan.last_completed)
        return self._report_bars(scan.last_completed, scan)

    def _report_bars(self, through: dt.date, scan: ScanRef | None) -> BarsChecked:
        last = self._updater.last
        behind = len(self._sessions(last, through)) if last and last < through else 0
        return BarsChecked(ready=self._updater.report(through, scan), age_sessions=behind)

    def _outcome(self, value: Any, session: dt.date, correlation_id: str) -> Outcome:
        return Outcome(value, at=self._clock.now(), session=session, correlation_id=correlation_id)
