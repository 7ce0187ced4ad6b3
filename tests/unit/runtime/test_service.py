import datetime as dt
from threading import Event

import pytest

from shared.domain.errors import InvalidMessage, InvariantBroken, TransientError
from shared.runtime.runner.contract import Context, Decision, Outcome, Service, handler_table, on
from shared.schemas.envelope import from_fields, to_fields
from shared.schemas.messages import BarsDue, ScanDecided
from shared.schemas.streams import DEAD, ServiceName, Stream
from shared.schemas.values import Phase, Slot
from tests.builders import NOON, envelope
from tests.unit.runtime.service_bench import Bench, Fetched, Seen, on_bars_due, ready

DUE = BarsDue(through=dt.date(2024, 1, 4))


def test_a_message_becomes_state_and_messages_in_one_step() -> None:
    bench = Bench(handler_table(on(BarsDue, on_bars_due)))
    bench.schedule(DUE)
    runner = bench.runner()
    assert runner.start()
    assert runner.turn(0)
    assert runner.state.count == 1
    assert bench.said(Stream.BARS) == [ready(DUE.through)]
    assert not runner.turn(0)


def test_what_is_said_names_its_cause_and_is_numbered_without_gaps() -> None:
    bench = Bench(handler_table(on(BarsDue, on_bars_due)))
    for _ in range(3):
        bench.schedule(DUE)
    runner = bench.runner()
    runner.start()
    runner.turn(0)
    envelopes = [
        from_fields(fields)[0] for _, fields in bench.server.stream(Stream.BARS.key).entries
    ]
    assert [e.seq for e in envelopes] == [1, 2, 3]
    assert {e.causation_id for e in envelopes} == {envelope(DUE).id}
    assert {e.correlation_id for e in envelopes} == {"SCAN_20240105_143500"}


def test_a_restart_finds_the_state_and_goes_on_counting() -> None:
    bench = Bench(handler_table(on(BarsDue, on_bars_due)))
    bench.schedule(DUE)
    first = bench.runner()
    first.start()
    first.turn(0)
    bench.schedule(DUE)
    again = bench.runner()
    again.start()
    again.turn(0)
    assert again.state.count == 2
    assert len(bench.said(Stream.BARS)) == 2


def test_a_second_instance_stands_by() -> None:
    bench = Bench(handler_table(on(BarsDue, on_bars_due)))
    assert bench.runner("one").start()
    assert not bench.runner("two").start()


def test_what_cannot_be_read_goes_to_the_dead_and_the_rest_goes_on() -> None:
    bench = Bench(handler_table(on(BarsDue, on_bars_due)))
    bench.schedule(DUE)
    bench.server.append(Stream.SCHEDULE.key, {"type": "BarsDue", "data": "{}"})
    bench.schedule(DUE)
    runner = bench.runner()
    runner.start()
    runner.turn(0)
    assert runner.state.count == 2
    assert len(bench.server.stream(DEAD).entries) == 1


def test_a_message_on_a_stream_that_is_not_its_own_is_dead() -> None:
    bench = Bench(handler_table(on(BarsDue, on_bars_due)))
    forged = ScanDecided(
        scan_id="s", slot=Slot.OPEN, phase=Phase.ENTRIES, approved=0, denied=0, final=True
    )
    bench.server.append(Stream.SCHEDULE.key, to_fields(envelope(forged)))
    runner = bench.runner()
    runner.start()
    runner.turn(0)
    assert "does not belong" in dict(bench.server.stream(DEAD).entries[0][1])["reason"]


def test_a_handler_that_crashes_leaves_the_step_before_it_committed_and_is_given_up_at_last() -> (
    None
):
    def sometimes(state: Seen, message: BarsDue, context: Context[None]) -> Decision[Seen]:
        if message.through.year == 1999:
            raise ZeroDivisionError
        return on_bars_due(state, message, context)

    bench = Bench(handler_table(on(BarsDue, sometimes)))
    bench.schedule(DUE)
    bench.schedule(BarsDue(through=dt.date(1999, 1, 1)))
    bench.schedule(DUE)
    crashes = 0
    for _ in range(6):
        runner = bench.runner()
        runner.start()
        try:
            runner.turn(0)
        except ZeroDivisionError:
            crashes += 1
    assert crashes == 3
    assert runner.state.count == 2
    assert len(bench.server.stream(DEAD).entries) == 1


def test_a_kill_between_decision_and_commit_makes_the_step_be_decided_anew() -> None:
    halts: list[tuple[str, ...]] = []

    def note(state: Seen, message: BarsDue, context: Context[None]) -> Decision[Seen]:
        halts.append(context.halted)
        return on_bars_due(state, message, context)

    bench = Bench(handler_table(on(BarsDue, note)), kill_fenced=True)
    bench.schedule(DUE)
    runner = bench.runner()
    runner.start()
    bench.server.append("kobe:kill:log", {"why": "now"})
    runner.turn(0)
    assert halts == [(), ("killed",)]
    assert runner.state.count == 1


class OneWish:
    """Fulfils what the state wishes; fails first, as the world does."""

    def __init__(self) -> None:
        self.failures = 1
        self.recovered = 0

    def recover(self, state: Seen) -> None:
        self.recovered += 1

    def act(self, state: Seen) -> Outcome | None:
        if not state.wishes:
            return None
        if self.failures:
            self.failures -= 1
            raise TransientError("vendor away", retry_after=0.001)
        return Outcome(Fetched(name=next(iter(state.wishes))), NOON, NOON.date(), "scan")

    def wait(self, state: Seen) -> float:
        return 0.0


def wish(state: Seen, message: BarsDue, context: Context[None]) -> Decision[Seen]:
    return Seen(count=state.count, wishes={**state.wishes, "bars": True}), ()


def fulfilled(state: Seen, outcome: Fetched, context: Context[None]) -> Decision[Seen]:
    wishes = {name: value for name, value in state.wishes.items() if name != outcome.name}
    return Seen(count=state.count + 1, wishes=wishes), (ready(DUE.through),)


def test_a_wish_survives_a_failure_of_the_world_and_is_fulfilled_once() -> None:
    bench = Bench(handler_table(on(BarsDue, wish), on(Fetched, fulfilled)), work=OneWish())
    bench.schedule(DUE)
    runner = bench.runner()
    runner.start()
    with pytest.raises(TransientError):
        runner.turn(0)
    again = bench.runner()
    again.start()
    again.turn(0)
    assert again.state == Seen(count=1)
    assert len(bench.said(Stream.BARS)) == 1
    assert bench.work.recovered == 2


def test_the_loop_outlives_a_transient_error_and_ends_when_told() -> None:
    stop = Event()

    def finish(state: Seen, outcome: Fetched, context: Context[None]) -> Decision[Seen]:
        stop.set()
        return fulfilled(state, outcome, context)

    bench = Bench(handler_table(on(BarsDue, wish), on(Fetched, finish)), work=OneWish())
    bench.schedule(DUE)
    runner = bench.runner()
    runner.run(stop)
    assert runner.state.count == 1


def test_a_service_may_write_on_its_own_stream_only() -> None:
    def trespass(state: Seen, message: BarsDue, context: Context[None]) -> Decision[Seen]:
        return state, (DUE,)

    bench = Bench(handler_table(on(BarsDue, trespass)))
    bench.schedule(DUE)
    runner = bench.runner()
    runner.start()
    with pytest.raises(InvariantBroken, match="may not write"):
        runner.turn(0)


def test_an_envelope_that_is_refused_by_the_verifier_is_dead() -> None:
    def refuse(_: object) -> None:
        raise InvalidMessage("bad signature")

    bench = Bench(handler_table(on(BarsDue, on_bars_due)))
    bench.schedule(DUE)
    runner = bench.runner()
    runner.service = Service(
        name=ServiceName.DATA_FETCHER,
        initial=Seen(),
        handlers=bench.handlers,
        settings=None,
        verify=refuse,
    )
    runner.start()
    runner.turn(0)
    assert runner.state.count == 0
    assert dict(bench.server.stream(DEAD).entries[0][1])["reason"] == "bad signature"


def test_what_is_old_and_in_the_chain_is_dropped_and_nothing_else() -> None:
    bench = Bench(handler_table(on(BarsDue, on_bars_due)))
    runner = bench.runner()
    for _ in range(3):
        bench.schedule(DUE)
    runner.start()
    runner.turn(0)
    said = bench.server.stream(Stream.BARS.key)
    for group in said.groups.values():
        group.position = len(said.entries)
    bench.clock.instant += dt.timedelta(days=8)
    bench.clock.elapsed += 4.0
    runner.turn(0)
    assert len(said.entries) == 3, "the auditor has read nothing yet"
    bench.server.hash("kobe:state:auditor")["position:bars"] = said.entries[1][0]
    for _ in range(20):
        bench.clock.elapsed += 4.0
        runner.turn(0)
    assert len(said.entries) == 2


def test_a_stop_is_obeyed_between_two_outcomes_and_the_rest_stays_in_the_state() -> None:
    stop = Event()

    class ManyWishes(OneWish):
        def act(self, state: Seen) -> Outcome | None:
            return Outcome(Fetched(name=next(iter(state.wishes))), NOON, NOON.date(), "scan")

    def fulfill_one(state: Seen, outcome: Fetched, context: Context[None]) -> Decision[Seen]:
        stop.set()
        return Seen(count=state.count + 1, wishes=state.wishes), ()

    bench = Bench(handler_table(on(BarsDue, wish), on(Fetched, fulfill_one)), work=ManyWishes())
    bench.schedule(DUE)
    runner = bench.runner()
    runner.run(stop)
    assert runner.state == Seen(count=1, wishes={"bars": True})


def test_a_long_queue_at_a_slow_broker_neither_stops_the_heart_nor_loses_the_lease() -> None:
    class SlowWork(OneWish):
        def act(self, state: Seen) -> Outcome | None:
            assert bench.health.alive
            bench.clock.advance(10.0)
            outcome = Outcome(Fetched(name="bars"), NOON, NOON.date(), "scan")
            return outcome if state.count < 20 else None

    def count(state: Seen, outcome: Fetched, context: Context[None]) -> Decision[Seen]:
        return Seen(count=state.count + 1), ()

    bench = Bench(handler_table(on(Fetched, count)), work=SlowWork())
    runner = bench.runner()
    runner.start()
    runner.turn(0)
    assert runner.state.count == 20
