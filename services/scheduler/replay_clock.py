"""The replay clock: moves the simulated broker through the archive's sessions.

Used in sim (clock = replay). Waits for every answer, so a replay is deterministic and as fast as
the pipeline; its place is in the state, so a restart goes on exactly there.
"""

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import requests

from services.scheduler.replay_steps import stage_to_reach
from services.scheduler.state import (
    ArchiveExhausted,
    BrokerAdvanced,
    ReplayCompleted,
    ReplayStep,
    SessionBegun,
    SessionTimes,
    State,
)
from services.scheduler.system_clock import session_correlation
from shared.domain.errors import TransientError, UserError
from shared.domain.market.timetable import Hours, Timetable
from shared.runtime.archive.archive import BarArchive
from shared.runtime.archive.manifest import MANIFEST
from shared.runtime.clock import Clock
from shared.runtime.runner.contract import Outcome
from shared.schemas.values import Stage, Value

TIMEOUT_SECONDS = (3.05, 10.0)
"""Connect (just above a TCP retransmission) and read (a stage fills every resting order)."""
IDLE_SECONDS = 0.5
BARS_POLL_SECONDS = 0.2
"""Short beside the seconds the data-fetcher needs for its first archive."""
MORE_BARS = dt.timedelta(days=365)
"""A year of generated bars at a time: minutes of replay, a second of generation."""


class Replay(Value, frozen=True, kw_only=True):
    """Which sessions: at most `sessions` (0: all) from `start`, or the last ones.

    The archive's first session only serves as the one before. With `loop` the data-fetcher is
    asked for more bars at their end, so the replay is endless.
    """

    sessions: int = 0
    start: dt.date | None = None
    pace_seconds: float = 0.0
    loop: bool = False


class ReplayCalendar(Protocol):
    """The exchange's sessions (shared/runtime/calendar/xnys.py)."""

    def usual_hours(self, session: dt.date, previous: dt.date) -> Hours: ...

    def session_on_or_after(self, day: dt.date) -> Hours: ...


class ReplayMarket(Protocol):
    """The simulated broker, as far as the replay controls it."""

    def advance(self, session: dt.date, stage: Stage, at: dt.datetime) -> None: ...


class ReplayWork:
    def __init__(
        self,
        replay: Replay,
        timetable: Timetable,
        *,
        calendar: ReplayCalendar,
        archive: Path,
        market: ReplayMarket,
        clock: Clock,
    ) -> None:
        self._replay, self._timetable, self._calendar = replay, timetable, calendar
        self._archive, self._market, self._clock = archive, market, clock
        self._sessions: Sequence[dt.date] = ()
        self._seen = 0

    def recover(self, state: State) -> None:
        """Nothing to recover: repeating an advance has no effect at the broker."""

    def act(self, state: State) -> Outcome | None:
        stage = stage_to_reach(state)
        if stage is None:
            return self._next(state) if state.step is ReplayStep.REST else None
        times = state.times
        assert times is not None
        at = {Stage.OPEN: times.open_slot_at, Stage.CLOSE: times.close_slot_at}.get(
            stage, times.closes_at
        )
        self._market.advance(times.session, stage, at)
        return self._outcome(BrokerAdvanced(session=times.session, stage=stage), times.session)

    def _next(self, state: State) -> Outcome | None:
        if state.rested_from and self._rest_left(state.rested_from) > 0:
            return None
        sessions = self._read_sessions()
        if not sessions:
            raise TransientError("there are no bars to replay yet", retry_after=BARS_POLL_SECONDS)
        place = self._place_after(state, sessions)
        if place is None:
            return self._at_the_end(state, state.times.session if state.times else sessions[-1])
        hours = self._calendar.usual_hours(sessions[place], sessions[place - 1])
        return self._outcome(
            SessionBegun(times=SessionTimes.of(hours, self._timetable)), hours.session
        )

    def _at_the_end(self, state: State, last: dt.date) -> Outcome | None:
        if not self._replay.loop:
            return None if state.finished else self._outcome(ReplayCompleted(), last)
        through = self._calendar.session_on_or_after(last + MORE_BARS).session
        return (
            None
            if state.bars_requested == through
            else self._outcome(ArchiveExhausted(through=through), last)
        )

    def _place_after(self, state: State, sessions: Sequence[dt.date]) -> int | None:
        replay = self._replay
        if replay.sessions and state.sessions_done >= replay.sessions and not replay.loop:
            return None
        if state.times:
            place = bisect_right(sessions, state.times.session)
        elif replay.start:
            place = bisect_left(sessions, replay.start)
            if place == len(sessions):
                raise UserError(
                    f"There are no bars from {replay.start} on; they end with {sessions[-1]}."
                )
        else:
            place = len(sessions) - replay.sessions if replay.sessions else 0
        return max(1, place) if place < len(sessions) > 1 else None

    def _read_sessions(self) -> Sequence[dt.date]:
        """The archive's sessions, read again only after it was written."""
        try:
            seen = (self._archive / MANIFEST).stat().st_mtime_ns
        except OSError:
            return ()
        if seen != self._seen:
            self._sessions, self._seen = BarArchive.open(self._archive).sessions, seen
        return self._sessions

    def _rest_left(self, since: dt.datetime) -> float:
        return self._replay.pace_seconds - (self._clock.now() - since).total_seconds()

    def wait(self, state: State) -> float:
        resting = state.step is ReplayStep.REST and state.rested_from and not state.finished
        return (
            max(0.0, self._rest_left(state.rested_from))
            if resting and state.rested_from
            else IDLE_SECONDS
        )

    def _outcome(self, value: object, session: dt.date) -> Outcome:
        return Outcome(
            value,
            at=self._clock.now(),
            session=session,
            correlation_id=session_correlation(session),
        )


class SimBrokerControl:
    """The simulated broker over HTTP; an advance to its present stage has no effect."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/sim/advance"
        self._http = requests.Session()

    def advance(self, session: dt.date, stage: Stage, at: dt.datetime) -> None:
        """Move the broker to a stage.

        Raises TransientError if it does not answer, UserError if it refuses the move.
        """
        body = msgspec.json.encode({"session": session, "stage": stage, "at": at})
        headers = {"Content-Type": "application/json"}
        try:
            reply = self._http.post(self._url, data=body, headers=headers, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise TransientError(
                f"the simulated broker does not answer: {type(error).__name__}"
            ) from error
        if reply.status_code >= 500 or reply.status_code == 429:
            raise TransientError(f"the simulated broker answers {reply.status_code}")
        if reply.status_code != 200:
            raise UserError(
                f"The simulated broker cannot advance to {session} {stage} ({reply.text[:200]}). "
                "It belongs to another run than this replay: remove the state of both."
            )
