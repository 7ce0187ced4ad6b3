"""Replays the archive's sessions: moves the simulated broker through each and says what has come.

Used in sim (clock = replay). It waits for every answer, so a replay is deterministic and as fast as
the pipeline; where it stands is in the state, so a restart goes on exactly there.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import requests

from services.scheduler.handlers import (
    Advanced,
    AllReplayed,
    BarsEnded,
    SessionBegun,
    State,
    Step,
    stage_to_reach,
)
from services.scheduler.system_clock import session_correlation, session_times
from shared.domain.errors import TransientError, UserError
from shared.domain.market.timetable import Hours, Timetable
from shared.runtime.archive.archive import BarArchive
from shared.runtime.archive.manifest import MANIFEST
from shared.runtime.clock import Clock
from shared.runtime.runner.contract import Outcome
from shared.schemas.values import Stage, Value

TIMEOUT_SECONDS = (3.05, 10.0)
IDLE_SECONDS = 0.5
BARS_POLL_SECONDS = 0.2
MORE_BARS = dt.timedelta(days=365)


class Replay(Value, frozen=True, kw_only=True):
    """Which sessions: at most `sessions` (0: all) from `start`, or the last so many; the first has one before it.

    With `loop` the data-fetcher is asked for more bars at their end, and it goes on for ever."""

    sessions: int = 0
    start: dt.date | None = None
    pace_seconds: float = 0.0
    loop: bool = False


class Calendar(Protocol):
    """shared/runtime/calendar/xnys.py"""

    def usual_hours(self, session: dt.date, previous: dt.date) -> Hours: ...

    def following(self, day: dt.date) -> Hours: ...


class Market(Protocol):
    """The simulated broker as the driver sees it."""

    def advance(self, session: dt.date, stage: Stage, at: dt.datetime) -> None: ...


class ReplayWork:
    def __init__(
        self,
        replay: Replay,
        timetable: Timetable,
        *,
        calendar: Calendar,
        archive: Path,
        market: Market,
        clock: Clock,
    ) -> None:
        self._replay, self._timetable, self._calendar = replay, timetable, calendar
        self._archive, self._market, self._clock = archive, market, clock
        self._sessions: Sequence[dt.date] = ()
        self._seen = 0

    def recover(self, state: State) -> None:
        """Nothing to recover: the broker takes a repeated advance for what it is."""

    def act(self, state: State) -> Outcome | None:
        stage = stage_to_reach(state)
        if stage is None:
            return self._next(state) if state.step is Step.REST else None
        times = state.times
        assert times is not None
        at = {Stage.OPEN: times.open_slot_at, Stage.CLOSE: times.close_slot_at}.get(
            stage, times.closes_at
        )
        self._market.advance(times.session, stage, at)
        return self._outcome(Advanced(session=times.session, stage=stage), times.session)

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
            SessionBegun(times=session_times(hours, self._timetable)), hours.session
        )

    def _at_the_end(self, state: State, last: dt.date) -> Outcome | None:
        if not self._replay.loop:
            return None if state.finished else self._outcome(AllReplayed(), last)
        through = self._calendar.following(last + MORE_BARS).session
        return (
            None if state.bars_asked == through else self._outcome(BarsEnded(through=through), last)
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
        """The archive's, read again only when it was written."""
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
        resting = state.step is Step.REST and state.rested_from and not state.finished
        return (
            max(0.0, self._rest_left(state.rested_from))
            if resting and state.rested_from
            else IDLE_SECONDS
        )

    def _outcome(self, value: Any, session: dt.date) -> Outcome:
        return Outcome(
            value,
            at=self._clock.now(),
            session=session,
            correlation_id=session_correlation(session),
        )


class SimBroker:
    """The simulated broker over HTTP. Moving it to where it stands already changes nothing there."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/sim/advance"
        self._http = requests.Session()

    def advance(self, session: dt.date, stage: Stage, at: dt.datetime) -> None:
        """TransientError if it does not answer; UserError if it stands elsewhere than this replay."""
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
                f"The simulated broker cannot go to {session} {stage} ({reply.text[:200]}); "
                "it and this replay are of different runs: begin both anew."
            )
