import datetime as dt
from pathlib import Path

import pytest

from services.scheduler.handlers import HANDLERS
from services.scheduler.replay_clock import Replay, ReplayWork, SimBrokerControl
from services.scheduler.state import ReplayStep, State
from shared.domain.errors import TransientError, UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.timetable import Timetable
from shared.runtime.archive import writer
from shared.runtime.calendar.xnys import Xnys
from shared.runtime.clock import ManualClock
from shared.schemas.messages import (
    BarsDue,
    Message,
    ReconcileDue,
    ScanDue,
    ScanExecuted,
    SessionClosed,
    SessionOpened,
)
from shared.schemas.values import Phase, Slot, Stage
from tests.bar_rows import bar_rows, trading_days
from tests.builders import NOON
from tests.servers_http import answering
from tests.turning import Turning
from tests.unit.scheduler.answering_broker import account

MONDAY = dt.date(2024, 7, 1)
SESSIONS = trading_days(MONDAY, 5)


class FakeMarket:
    """The simulated broker: goes forward only, may fail, remembers where it was moved to."""

    def __init__(self) -> None:
        self.moves: list[tuple[dt.date, Stage, dt.datetime]] = []
        self.failures = 0

    def advance(self, session: dt.date, stage: Stage, at: dt.datetime) -> None:
        if self.failures:
            self.failures -= 1
            raise TransientError("the simulated broker does not answer")
        self.moves.append((session, stage, at))


class Others:
    """The rest of the stack: answers whatever the scheduler asks for."""

    def __init__(self, turning: Turning) -> None:
        self.turning, self.seq = turning, 40
        self.heard: list[Message] = []

    def answer(self, said: list[Message]) -> None:
        self.heard += said
        for message in said:
            self.seq += 3
            if isinstance(message, ReconcileDue):
                self.answer(
                    self.turning.hear(account(message.session, message.stage), seq=self.seq)
                )
            if isinstance(message, ScanDue):
                for phase in Phase:
                    final = phase is Phase.ENTRIES or message.scan.slot is Slot.CLOSE
                    done = ScanExecuted(
                        scan_id=message.scan.id, slot=message.scan.slot, phase=phase, final=final
                    )
                    self.answer(self.turning.hear(done, seq=self.seq))

    def run(self) -> None:
        while (said := self.turning.act()) is not None:
            self.answer(said)


@pytest.fixture(scope="module")
def calendar() -> Xnys:
    return Xnys(dt.date(2024, 1, 1), dt.date(2024, 12, 31))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    writer.create(tmp_path, bar_rows({"A": 5}, start=MONDAY), basis=Basis.SPLIT, source="s")
    return tmp_path


def replaying(
    archive: Path, calendar: Xnys, replay: Replay | None = None
) -> tuple[Turning, FakeMarket, ManualClock]:
    market, clock = FakeMarket(), ManualClock(NOON)
    work = ReplayWork(
        replay or Replay(),
        Timetable(),
        calendar=calendar,
        archive=archive,
        market=market,
        clock=clock,
    )
    return Turning(HANDLERS, State(), work, clock=clock), market, clock


def test_a_session_goes_through_its_stages_each_after_its_answer(
    archive: Path, calendar: Xnys
) -> None:
    turning, market, _ = replaying(archive, calendar, Replay(sessions=1))
    others = Others(turning)
    others.run()
    friday = SESSIONS[-1]
    assert [move[:2] for move in market.moves] == [
        (friday, Stage.OPEN),
        (friday, Stage.CLOSE),
        (friday, Stage.MARK),
    ]
    assert [(type(each).__name__, getattr(each, "stage", "")) for each in others.heard] == [
        ("SessionOpened", ""),
        ("ReconcileDue", Stage.OPEN),
        ("ScanDue", ""),
        ("ReconcileDue", Stage.BAR),
        ("ScanDue", ""),
        ("SessionClosed", ""),
        ("ReconcileDue", Stage.MARK),
    ]
    assert turning.state.finished
    assert turning.state.sessions_done == 1


def test_scans_wait_for_the_account_that_was_seen_and_need_the_session_before(
    archive: Path, calendar: Xnys
) -> None:
    turning, _, _ = replaying(archive, calendar, Replay(sessions=1))
    others = Others(turning)
    others.run()
    scans = [each.scan for each in others.heard if isinstance(each, ScanDue)]
    assert [scan.slot for scan in scans] == [Slot.OPEN, Slot.CLOSE]
    assert {scan.last_completed for scan in scans} == {SESSIONS[-2]}
    assert 0 < scans[0].executions_seq < scans[1].executions_seq


def test_half_days_have_their_own_close_slot_and_the_broker_is_told(
    archive: Path, calendar: Xnys
) -> None:
    turning, market, _ = replaying(archive, calendar, Replay(start=dt.date(2024, 7, 3), sessions=1))
    Others(turning).run()
    assert [at.strftime("%H:%M") for _, _, at in market.moves] == ["13:35", "16:55", "17:00"]


def test_all_sessions_but_the_first_are_replayed_in_order_and_once(
    archive: Path, calendar: Xnys
) -> None:
    turning, _, _ = replaying(archive, calendar)
    others = Others(turning)
    others.run()
    assert [each.session for each in others.heard if isinstance(each, SessionOpened)] == SESSIONS[
        1:
    ]
    assert [each.previous for each in others.heard if isinstance(each, SessionOpened)] == SESSIONS[
        :-1
    ]
    assert [each.session for each in others.heard if isinstance(each, SessionClosed)] == SESSIONS[
        1:
    ]
    ids = [each.scan.id for each in others.heard if isinstance(each, ScanDue)]
    assert len(ids) == len(set(ids)) == 8


@pytest.mark.parametrize(
    ("replay", "expected"),
    [
        (Replay(sessions=2), SESSIONS[3:]),
        (Replay(sessions=99), SESSIONS[1:]),
        (Replay(start=SESSIONS[2]), SESSIONS[2:]),
        (Replay(start=SESSIONS[2], sessions=2), SESSIONS[2:4]),
        (Replay(start=dt.date(2020, 1, 1), sessions=1), SESSIONS[1:2]),
    ],
)
def test_which_sessions_are_replayed_is_a_setting(
    archive: Path, calendar: Xnys, replay: Replay, expected: list[dt.date]
) -> None:
    turning, _, _ = replaying(archive, calendar, replay)
    others = Others(turning)
    others.run()
    assert [each.session for each in others.heard if isinstance(each, SessionOpened)] == expected


def test_when_all_is_replayed_it_says_so_and_goes_on_when_bars_are_added(
    archive: Path, calendar: Xnys
) -> None:
    turning, _, _ = replaying(archive, calendar)
    others = Others(turning)
    others.run()
    assert turning.state.finished
    assert turning.act() is None
    writer.append(archive, bar_rows({"A": 1}, start=dt.date(2024, 7, 9)))
    others.run()
    assert turning.state.sessions_done == 5
    assert turning.state.finished


def test_what_is_not_waited_for_is_ignored(archive: Path, calendar: Xnys) -> None:
    turning, _, _ = replaying(archive, calendar, Replay(sessions=1))
    turning.act()
    assert turning.hear(account(SESSIONS[-1], Stage.OPEN)) == []
    turning.act()
    before = turning.state
    assert before.step is ReplayStep.ACCOUNT_OPEN
    strangers: list[Message] = [
        account(SESSIONS[-2], Stage.OPEN),
        account(SESSIONS[-1], Stage.MARK),
        ScanExecuted(scan_id="SCAN_X", slot=Slot.OPEN, phase=Phase.ENTRIES, final=True),
    ]
    for stranger in strangers:
        assert turning.hear(stranger) == []
    assert turning.state == before
    assert turning.act() is None


def test_a_phase_that_is_not_the_last_does_not_end_a_scan(archive: Path, calendar: Xnys) -> None:
    turning, _, _ = replaying(archive, calendar, Replay(sessions=1))
    turning.act()
    turning.act()
    (scan,) = turning.hear(account(SESSIONS[-1], Stage.OPEN))
    assert isinstance(scan, ScanDue)
    turning.hear(ScanExecuted(scan_id=scan.scan.id, slot=Slot.OPEN, phase=Phase.EXITS, final=False))
    assert turning.act() is None
    turning.hear(
        ScanExecuted(scan_id=scan.scan.id, slot=Slot.OPEN, phase=Phase.ENTRIES, final=True)
    )
    assert turning.act() is not None


def test_the_pace_is_a_rest_between_sessions(archive: Path, calendar: Xnys) -> None:
    turning, _, clock = replaying(archive, calendar, Replay(pace_seconds=30))
    others = Others(turning)
    others.run()
    assert turning.state.sessions_done == 1
    assert turning.work
    assert turning.work.wait(turning.state) == 30
    clock.advance(29)
    assert turning.act() is None
    clock.advance(1)
    others.run()
    assert turning.state.sessions_done == 2


def test_a_broker_that_is_away_is_waited_for(archive: Path, calendar: Xnys) -> None:
    turning, market, _ = replaying(archive, calendar, Replay(sessions=1))
    turning.act()
    market.failures = 2
    for _ in range(2):
        with pytest.raises(TransientError):
            turning.act()
    Others(turning).run()
    assert turning.state.finished


def test_an_advance_that_was_made_and_not_recorded_is_made_again(
    archive: Path, calendar: Xnys
) -> None:
    turning, market, _ = replaying(archive, calendar, Replay(sessions=1))
    turning.act()
    assert turning.work
    turning.work.act(turning.state)
    Others(turning).run()
    assert [stage for _, stage, _ in market.moves] == [
        Stage.OPEN,
        Stage.OPEN,
        Stage.CLOSE,
        Stage.MARK,
    ]
    assert turning.state.finished


def test_before_there_are_bars_it_waits(tmp_path: Path, calendar: Xnys) -> None:
    turning, _, _ = replaying(tmp_path, calendar)
    with pytest.raises(TransientError, match="no bars to replay yet"):
        turning.act()


def test_a_start_after_the_last_bar_is_said_in_a_sentence(archive: Path, calendar: Xnys) -> None:
    turning, _, _ = replaying(archive, calendar, Replay(start=dt.date(2030, 1, 1)))
    with pytest.raises(UserError, match="no bars from 2030-01-01 on; they end with 2024-07-08"):
        turning.act()


def test_the_broker_is_posted_the_session_the_stage_and_the_time() -> None:
    with answering([(200, b"{}")]) as server:
        SimBrokerControl(server.url).advance(MONDAY, Stage.OPEN, NOON)
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/sim/advance")
    assert request.body == b'{"session":"2024-07-01","stage":"open","at":"2024-01-05T17:00:00Z"}'


@pytest.mark.parametrize(
    ("status", "error"),
    [(503, TransientError), (500, TransientError), (409, UserError), (422, UserError)],
)
def test_the_brokers_refusals_are_told_apart(status: int, error: type[Exception]) -> None:
    with answering([(status, b'{"message":"no"}')]) as server, pytest.raises(error):
        SimBrokerControl(server.url).advance(MONDAY, Stage.OPEN, NOON)


def test_no_broker_at_all_is_waited_for() -> None:
    with pytest.raises(TransientError, match="does not answer"):
        SimBrokerControl("http://127.0.0.1:9").advance(MONDAY, Stage.OPEN, NOON)


def test_a_loop_asks_for_more_bars_at_their_end_once_and_goes_on(
    archive: Path, calendar: Xnys
) -> None:
    turning, _, _ = replaying(archive, calendar, Replay(sessions=2, loop=True))
    others = Others(turning)
    others.run()
    asked = [each for each in others.heard if isinstance(each, BarsDue)]
    assert [each.through for each in asked] == [dt.date(2025, 7, 8)]
    assert not turning.state.finished
    writer.append(archive, bar_rows({"A": 2}, start=dt.date(2024, 7, 9)))
    others.run()
    assert turning.state.sessions_done == 4
    assert len([each for each in others.heard if isinstance(each, BarsDue)]) == 2
