"""What every bus promises, asked of each of them: in memory, on redis-server, on Valkey, in a container."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shared.domain.errors import TransientError
from shared.runtime.bus import Bus, Conflict, DeadLetter, Entry, Fenced, Step
from shared.runtime.clock import ManualClock
from shared.runtime.memory_bus import MemoryBus
from shared.runtime.memory_server import MemoryServer
from shared.runtime.provision_streams import init_streams
from shared.runtime.redis_bus import RedisBus
from shared.runtime.redis_connection import Address, RedisConnection
from shared.schemas.streams import DEAD, KILL_LOG, KILL_RESUME, READS, ServiceName, Stream, lease_key, state_key
from tests.servers import any_redis, docker_answers, redis_server, valkey_binary

GATE, ENGINE, EXECUTOR = ServiceName.RISK_GATE, ServiceName.SIGNAL_ENGINE, ServiceName.EXECUTOR
LEASE = 0.4


@dataclass
class World:
    """One implementation with its server: how to reach it, and how to disturb it behind the buses' backs."""

    make: Callable[[ServiceName, str, float], Bus]
    hset: Callable[[str, str, str], None]
    delete: Callable[[str], None]
    trim: Callable[[str, str], object]
    wait: Callable[[float], None]
    buses: list[Bus] = field(default_factory=list)

    def bus(self, service: ServiceName = GATE, instance: str = "a", lease: float = 15.0) -> Bus:
        bus = self.make(service, instance, lease)
        self.buses.append(bus)
        return bus

    def holder(self, service: ServiceName = GATE, instance: str = "a", lease: float = 15.0) -> Bus:
        bus = self.bus(service, instance, lease)
        assert bus.acquire() is not None
        return bus

    def say(self, stream: Stream, *texts: str) -> None:
        """As the stream's writer would."""
        writer = {
            Stream.SIGNALS: ENGINE,
            Stream.ORDERS: GATE,
            Stream.CONTROL: ServiceName.CONSOLE,
            Stream.SCHEDULE: ServiceName.SCHEDULER,
            Stream.EXECUTIONS: EXECUTOR,
        }[stream]
        speaker = self.holder(writer, "speaker")
        speaker.commit(Step(version=speaker.load().version, outputs=[(stream, {"text": text}) for text in texts]))
        speaker.release()


def memory_world() -> World:
    clock = ManualClock(dt.datetime(2024, 1, 5, 14, 35, tzinfo=dt.UTC))
    server = MemoryServer(clock)

    def delete(key: str) -> None:
        server.hashes.pop(key, None)
        server.streams.pop(key, None)

    return World(
        make=lambda service, instance, lease: MemoryBus(server, service, instance, lease_seconds=lease),
        hset=lambda key, name, text: server.hash(key).update({name: text}),
        delete=delete,
        trim=server.trim,
        wait=clock.advance,
    )


def redis_world(url: str, marker: Path) -> Iterator[World]:
    admin = RedisConnection(Address.parse(url))
    admin.one("FLUSHALL")
    init_streams(admin, marker)
    world = World(
        make=lambda service, instance, lease: RedisBus(
            RedisConnection(Address.parse(url)), service, instance, lease_seconds=lease
        ),
        hset=lambda key, name, text: admin.one("HSET", key, name, text),
        delete=lambda key: admin.one("DEL", key),
        trim=lambda key, before: admin.one("XTRIM", key, "MINID", before),
        wait=time.sleep,
    )
    yield world
    for bus in world.buses:
        assert isinstance(bus, RedisBus)
        bus.close()
    admin.close()


@pytest.fixture(scope="module")
def urls() -> Iterator[Callable[[str], str]]:
    """Servers are started when first asked for and live for the module."""
    started: dict[str, str] = {}
    with ExitStack() as stack:

        def url(kind: str) -> str:
            if kind not in started:
                if kind == "container":
                    if not docker_answers():
                        pytest.skip("no Docker engine with the image answers")
                    started[kind] = stack.enter_context(any_redis())
                else:
                    binary = valkey_binary() if kind == "valkey" else None
                    started[kind] = stack.enter_context(redis_server(binary)).url
            return started[kind]

        yield url


@pytest.fixture(params=["memory", "redis-server", "valkey", pytest.param("container", marks=pytest.mark.docker)])
def world(request: pytest.FixtureRequest, urls: Callable[[str], str], tmp_path: Path) -> Iterator[World]:
    if request.param == "memory":
        yield memory_world()
    else:
        yield from redis_world(urls(request.param), tmp_path / "genesis")


def texts(entries: list[Entry]) -> list[str]:
    return [entry.fields["text"] for entry in entries]


def read(bus: Bus, count: int = 10) -> list[Entry]:
    return bus.read(count=count, block_ms=1)


def all_of(bus: Bus, key: str) -> list[str]:
    return [fields.get("text", "") for _, fields in bus.stream_after(key, "0", 100)]


# --- reading ----------------------------------------------------------------------------------------------


def test_a_group_reads_what_was_said_before_it_first_came(world: World) -> None:
    world.say(Stream.SIGNALS, "one", "two")
    assert texts(read(world.holder())) == ["one", "two"]


def test_a_batch_stands_in_the_order_in_which_the_service_reads_its_streams(world: World) -> None:
    world.say(Stream.SIGNALS, "signals")
    world.say(Stream.EXECUTIONS, "executions")
    world.say(Stream.CONTROL, "control")
    world.say(Stream.SCHEDULE, "schedule")
    entries = read(world.holder())
    assert texts(entries) == ["control", "executions", "schedule", "signals"]
    assert [entry.stream for entry in entries] == [stream for stream in READS[GATE] if stream != Stream.QUOTES]


def test_a_batch_holds_at_most_count_of_each_stream(world: World) -> None:
    world.say(Stream.SIGNALS, "one", "two", "three")
    bus = world.holder()
    first = read(bus, count=2)
    bus.commit(Step(version=0, acks=first))
    assert (texts(first), texts(read(bus, count=2))) == (["one", "two"], ["three"])


def test_what_is_not_acknowledged_is_handed_out_again_and_is_no_new_delivery(world: World) -> None:
    world.say(Stream.SIGNALS, "one")
    bus = world.holder()
    first = read(bus)
    world.say(Stream.SIGNALS, "two")
    assert read(bus) == first
    assert first[0].deliveries == 1


def test_part_of_a_batch_can_be_acknowledged(world: World) -> None:
    world.say(Stream.SIGNALS, "one", "two")
    bus = world.holder()
    bus.commit(Step(version=0, acks=read(bus)[:1]))
    assert texts(read(bus)) == ["two"]


def test_what_was_acknowledged_never_comes_back_not_even_after_a_restart(world: World) -> None:
    world.say(Stream.SIGNALS, "one", "two")
    bus = world.holder()
    bus.commit(Step(version=0, acks=read(bus)[:1]))
    assert texts(read(world.holder())) == ["two"]


def test_after_a_restart_own_pending_entries_come_first_and_count_their_deliveries(world: World) -> None:
    world.say(Stream.SIGNALS, "one")
    read(world.holder())
    world.say(Stream.CONTROL, "later")
    restarted = world.holder()
    again = read(restarted)
    assert (texts(again), again[0].deliveries) == (["one"], 2)
    restarted.commit(Step(version=0, acks=again))
    assert texts(read(restarted)) == ["later"]


def test_losing_and_retaking_the_lease_within_a_process_is_no_new_delivery(world: World) -> None:
    world.say(Stream.SIGNALS, "one")
    bus = world.holder()
    read(bus)
    bus.acquire()
    assert [entry.deliveries for entry in read(bus)] == [1]


def test_pending_entries_come_in_pages(world: World) -> None:
    world.say(Stream.SIGNALS, "one", "two", "three")
    read(world.holder())
    restarted = world.holder()
    first = read(restarted, count=2)
    restarted.commit(Step(version=0, acks=first))
    assert (texts(first), texts(read(restarted, count=2))) == (["one", "two"], ["three"])


def test_a_new_holder_takes_over_what_a_dead_replica_left_at_once_and_in_order(world: World) -> None:
    world.say(Stream.SIGNALS, "one", "two")
    read(world.holder(instance="dead", lease=LEASE))
    world.say(Stream.SIGNALS, "three")
    world.wait(LEASE * 1.5)
    heir = world.holder(instance="heir")
    first = read(heir)
    assert [(entry.fields["text"], entry.deliveries) for entry in first] == [("one", 2), ("two", 2)]
    heir.commit(Step(version=0, acks=first))
    assert texts(read(heir)) == ["three"]


def test_a_service_does_not_take_entries_of_another_service(world: World) -> None:
    world.say(Stream.SIGNALS, "one")
    fetcher = world.holder(ServiceName.DATA_FETCHER)
    fetcher.commit(Step(version=0, acks=read(fetcher)))
    assert texts(read(world.holder(GATE))) == ["one"]


def test_a_pending_entry_that_was_trimmed_away_is_gone(world: World) -> None:
    """Nothing of ours trims so; the auditor sees the gap in the writer's numbers."""
    world.say(Stream.SIGNALS, "one", "two")
    _, two = read(world.holder())
    world.trim("kobe:signals", two.entry_id)
    assert texts(read(world.holder())) == ["two"]


def test_reading_nothing_returns_nothing_within_two_seconds(world: World) -> None:
    bus = world.holder()
    before = time.monotonic()
    assert bus.read(count=10, block_ms=60_000) == []
    assert time.monotonic() - before < 4


def test_a_service_without_groups_reads_nothing(world: World) -> None:
    assert world.bus(ServiceName.AUDITOR).read(count=10, block_ms=1000) == []


# --- the step ---------------------------------------------------------------------------------------------


def test_a_step_writes_state_messages_and_acks_together(world: World) -> None:
    world.say(Stream.SIGNALS, "one")
    bus = world.holder()
    step = Step(
        version=0,
        changed={"cash": "10", "book:AAPL": "1", "seq": "1"},
        outputs=[(Stream.ORDERS, {"text": "approved"}), (Stream.ORDERS, {"text": "decided"})],
        acks=read(bus),
    )
    bus.commit(step)
    record = bus.load()
    assert (record.version, record.fields) == (1, {"cash": "10", "book:AAPL": "1", "seq": "1"})
    assert all_of(bus, "kobe:orders") == ["approved", "decided"]
    assert read(world.holder()) == []


def test_a_step_removes_fields(world: World) -> None:
    bus = world.holder()
    bus.commit(Step(version=0, changed={"a": "1", "b": "2"}))
    bus.commit(Step(version=1, changed={"b": "3"}, removed=["a"]))
    assert bus.load().fields == {"b": "3"}


def assert_not_taken(bus: Bus, expected: type[Exception], step: Step) -> None:
    """All or nothing: no state, no message, no dead letter, no ack."""
    before, pending = bus.load(), read(bus)
    with pytest.raises(expected):
        bus.commit(step)
    assert bus.load() == before
    assert (all_of(bus, "kobe:orders"), all_of(bus, DEAD)) == ([], [])
    assert read(bus) == pending


def full_step(bus: Bus, world: World, version: int = 0) -> Step:
    world.say(Stream.SIGNALS, "good", "poison")
    good, poison = read(bus)
    return Step(
        version=version,
        changed={"cash": "10"},
        outputs=[(Stream.ORDERS, {"text": "approved"})],
        acks=[good],
        dead=[DeadLetter(poison, "bad")],
        kill=bus.kill_view(),
    )


def test_a_step_decided_on_an_older_state_is_not_taken(world: World) -> None:
    bus = world.holder()
    step = full_step(bus, world)
    world.hset(state_key(GATE), "version", "1")
    assert_not_taken(bus, Conflict, step)


def test_a_step_is_not_taken_when_the_kill_log_has_moved(world: World) -> None:
    bus = world.holder()
    step = full_step(bus, world)
    bus.append_kill({"why": "stop"})
    assert_not_taken(bus, Conflict, step)


def test_a_step_is_not_taken_when_the_kill_was_resumed_meanwhile(world: World) -> None:
    bus = world.holder()
    step = full_step(bus, world)
    world.hset(KILL_RESUME, "cleared_id", "1-0")
    assert_not_taken(bus, Conflict, step)


@pytest.mark.parametrize("key", [KILL_LOG, KILL_RESUME])
def test_a_step_is_not_taken_when_a_kill_key_has_vanished(world: World, key: str) -> None:
    """WATCH of a key that is not there watches nothing: what must stand there is compared."""
    bus = world.holder()
    step = full_step(bus, world)
    world.delete(key)
    assert_not_taken(bus, Conflict, step)


def test_a_step_is_not_taken_when_the_lease_has_vanished(world: World) -> None:
    bus = world.holder()
    step = full_step(bus, world)
    world.delete(lease_key(GATE))
    assert_not_taken(bus, Fenced, step)
    assert bus.lease_left() == 0


def test_a_step_is_not_taken_when_the_lease_has_run_out(world: World) -> None:
    bus = world.holder(lease=LEASE)
    step = full_step(bus, world)
    world.wait(LEASE * 1.5)
    assert_not_taken(bus, Fenced, step)


def test_a_zombie_writes_nothing_once_another_took_over(world: World) -> None:
    zombie = world.holder(instance="zombie", lease=LEASE)
    step = full_step(zombie, world)
    world.wait(LEASE * 1.5)
    world.holder(instance="heir")
    assert_not_taken(zombie, Fenced, step)


def test_an_older_life_of_the_same_instance_is_fenced_too(world: World) -> None:
    older = world.holder()
    world.holder()
    with pytest.raises(Fenced):
        older.commit(Step(version=0, changed={"a": "1"}))


def test_a_step_without_a_kill_view_is_taken_whatever_the_latch_says(world: World) -> None:
    bus = world.holder()
    bus.append_kill({"why": "stop"})
    bus.commit(Step(version=0, changed={"a": "1"}))
    assert bus.load().version == 1


def test_a_halted_latch_can_be_committed_against_as_long_as_it_does_not_move(world: World) -> None:
    bus = world.holder()
    bus.append_kill({"why": "stop"})
    bus.commit(Step(version=0, changed={"denied": "1"}, kill=bus.kill_view()))
    assert bus.load().version == 1


def test_after_a_conflict_the_step_is_decided_anew_and_taken(world: World) -> None:
    bus = world.holder()
    step = full_step(bus, world)
    bus.append_kill({"why": "stop"})
    with pytest.raises(Conflict):
        bus.commit(step)
    bus.commit(Step(version=bus.load().version, acks=read(bus), kill=bus.kill_view()))
    assert read(bus) == []


def test_of_two_gates_racing_on_one_state_only_one_wins_each_version(world: World) -> None:
    """Eight threads, one instance's lease: the version alone must keep their steps apart."""
    bus = world.holder()
    clones = [world.bus() for _ in range(8)]
    fence = bus.load().fence
    for clone in clones:
        adopt_fence(clone, fence)
    taken = []

    def race(clone: Bus) -> None:
        for _ in range(10):
            record = clone.load()
            try:
                clone.commit(Step(version=record.version, changed={"n": str(int(record.fields.get("n", 0)) + 1)}))
                taken.append(record.version)
            except Conflict:
                pass

    threads = [threading.Thread(target=race, args=[clone]) for clone in clones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = bus.load()
    assert sorted(taken) == list(range(record.version))
    assert record.fields["n"] == str(record.version)


def adopt_fence(bus: Bus, fence: int) -> None:
    """Give a clone its twin's fence, as two threads of one process would share it."""
    if isinstance(bus, RedisBus):
        bus._lease.fence = fence
    elif isinstance(bus, MemoryBus):
        bus._fence = fence


def test_poison_goes_to_the_dead_letters_without_harm_to_its_batch(world: World) -> None:
    world.say(Stream.SIGNALS, "good", "poison", "also good")
    bus = world.holder()
    first, poison, last = read(bus)
    bus.commit(Step(version=0, changed={"n": "2"}, acks=[first, last], dead=[DeadLetter(poison, "unknown type")]))
    ((_, letter),) = bus.stream_after(DEAD, "0", 10)
    assert letter == {
        "stream": "kobe:signals",
        "entry_id": poison.entry_id,
        "group": "risk-gate",
        "reason": "unknown type",
        "fields": '{"text": "poison"}',
    }
    assert read(world.holder()) == []


def test_a_dead_letter_is_cut_and_survives_any_bytes(world: World) -> None:
    world.say(Stream.SIGNALS, "x" * 300_000)
    bus = world.holder()
    (entry,) = read(bus)
    odd = Entry(entry.stream, entry.entry_id, {**entry.fields, "\udcff": "\udcfe\x00"})
    bus.commit(Step(version=0, dead=[DeadLetter(odd, "odd \udcff" * 1000)]))
    ((_, letter),) = bus.stream_after(DEAD, "0", 10)
    assert len(letter["fields"]) == 64 * 1024
    assert len(letter["reason"]) <= 1024


# --- the lease --------------------------------------------------------------------------------------------


def test_the_first_holder_finds_an_empty_state_and_fence_one(world: World) -> None:
    record = world.bus().acquire()
    assert record is not None
    assert (record.fields, record.version, record.fence) == ({}, 0, 1)


def test_the_same_instance_retakes_its_lease_at_once_with_the_next_fence(world: World) -> None:
    world.holder().commit(Step(version=0, changed={"a": "1"}))
    record = world.bus().acquire()
    assert record is not None
    assert (record.fields, record.version, record.fence) == ({"a": "1"}, 1, 2)


def test_a_standby_waits_until_the_lease_has_run_out(world: World) -> None:
    world.holder(instance="a", lease=LEASE)
    standby = world.bus(instance="b")
    assert standby.acquire() is None
    world.wait(LEASE * 1.5)
    record = standby.acquire()
    assert record is not None
    assert record.fence == 2


def test_a_released_lease_is_free_at_once(world: World) -> None:
    world.holder(instance="a").release()
    assert world.bus(instance="b").acquire() is not None


def test_releasing_a_lost_lease_leaves_the_heir_alone(world: World) -> None:
    lost = world.holder(instance="a", lease=LEASE)
    world.wait(LEASE * 1.5)
    heir = world.holder(instance="b")
    lost.release()
    heir.commit(Step(version=0, changed={"a": "1"}))
    assert heir.load().version == 1


def test_renewing_prolongs_the_lease(world: World) -> None:
    bus = world.holder(lease=LEASE)
    for _ in range(4):
        world.wait(LEASE / 2)
        bus.renew()
    bus.commit(Step(version=0, changed={"a": "1"}))
    assert 0 < bus.lease_left() <= LEASE * 1.01


def test_renewing_a_lost_lease_is_fenced(world: World) -> None:
    bus = world.holder(lease=LEASE)
    world.wait(LEASE * 1.5)
    with pytest.raises(Fenced):
        bus.renew()


def test_the_fence_outlives_the_lease(world: World) -> None:
    for _ in range(3):
        world.holder(instance="a").release()
    assert world.bus(instance="b").load().fence == 3


# --- the kill log, other people's streams, trimming -------------------------------------------------------


def test_the_latch_is_clear_after_genesis_and_halted_after_a_kill(world: World) -> None:
    bus = world.bus()
    assert not bus.kill_view().halted
    kill_id = bus.append_kill({"why": "stop"})
    view = bus.kill_view()
    assert (view.last_id, view.halted) == (kill_id, True)


@pytest.mark.parametrize("key", [KILL_LOG, KILL_RESUME])
def test_the_latch_is_halted_while_a_kill_key_is_absent(world: World, key: str) -> None:
    world.delete(key)
    assert world.bus().kill_view().halted


def test_any_stream_can_be_read_by_position_without_disturbing_its_groups(world: World) -> None:
    world.say(Stream.SIGNALS, "one", "two", "three")
    auditor = world.bus(ServiceName.AUDITOR)
    first, *_ = auditor.stream_after(Stream.SIGNALS, "0", 1)
    rest = list(auditor.stream_after("kobe:signals", first[0], 10))
    assert [fields["text"] for _, fields in (first, *rest)] == ["one", "two", "three"]
    assert len(read(world.holder())) == 3


def test_a_stream_nobody_wrote_to_is_empty(world: World) -> None:
    assert list(world.bus().stream_after(DEAD, "0", 10)) == []


def finish_everywhere(world: World, stream: Stream) -> None:
    for service, streams in READS.items():
        if stream in streams:
            bus = world.holder(service)
            bus.commit(Step(version=bus.load().version, acks=read(bus, 100)))


def test_a_writer_trims_only_what_the_auditor_has_and_every_group_has_finished(world: World) -> None:
    world.say(Stream.EXECUTIONS, "one", "two", "three")
    writer = world.bus(EXECUTOR)
    ids = [entry_id for entry_id, _ in writer.stream_after(Stream.EXECUTIONS, "0", 10)]
    assert writer.trim(Stream.EXECUTIONS, ids[2]) == 0
    finish_everywhere(world, Stream.EXECUTIONS)
    assert writer.trim(Stream.EXECUTIONS, ids[2]) == 0
    world.hset(state_key(ServiceName.AUDITOR), "position:executions", json.dumps(ids[1]))
    assert writer.trim(Stream.EXECUTIONS, ids[2]) == 1
    assert all_of(writer, "kobe:executions") == ["two", "three"]


def test_trimming_stops_at_what_a_group_has_not_acknowledged(world: World) -> None:
    world.say(Stream.EXECUTIONS, "one", "two")
    writer = world.bus(EXECUTOR)
    last = [entry_id for entry_id, _ in writer.stream_after(Stream.EXECUTIONS, "0", 10)][-1]
    finish_everywhere(world, Stream.EXECUTIONS)
    world.hset(state_key(ServiceName.AUDITOR), "position:executions", json.dumps("9999999999999-0"))
    world.say(Stream.EXECUTIONS, "three")
    read(world.holder())
    assert writer.trim(Stream.EXECUTIONS, "9999999999999-0") == 0
    assert last in [entry_id for entry_id, _ in writer.stream_after(Stream.EXECUTIONS, "0", 10)]


def test_reading_goes_on_after_a_trim(world: World) -> None:
    world.say(Stream.EXECUTIONS, "one", "two")
    finish_everywhere(world, Stream.EXECUTIONS)
    writer = world.bus(EXECUTOR)
    world.hset(state_key(ServiceName.AUDITOR), "position:executions", json.dumps("9999999999999-0"))
    assert writer.trim(Stream.EXECUTIONS, "9999999999999-0") == 1
    world.say(Stream.EXECUTIONS, "three")
    assert texts(read(world.holder())) == ["three"]


# --- the server goes away (servers only) ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["redis-server", "valkey"])
def test_after_kill_9_of_the_server_all_state_is_found_again(kind: str, tmp_path: Path) -> None:
    with redis_server(valkey_binary() if kind == "valkey" else None) as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        admin.one("XADD", "kobe:signals", "*", "text", "one")
        admin.one("XADD", "kobe:signals", "*", "text", "two")
        bus = RedisBus(server.connection(), GATE, "a")
        with closing(bus):
            bus.acquire()
            first, _ = read(bus)
            outputs = [(Stream.ORDERS, {"text": "approved"})]
            bus.commit(Step(version=0, changed={"cash": "10"}, outputs=outputs, acks=[first]))
            view = bus.kill_view()
            server.kill()
            with pytest.raises(TransientError) as away:
                bus.commit(Step(version=1, changed={"cash": "11"}))
            assert away.value.retry_after is not None
            server.start()
            record = bus.load()
            assert (record.fields, record.version, record.fence) == ({"cash": "10"}, 1, 1)
            assert (all_of(bus, "kobe:orders"), bus.kill_view()) == (["approved"], view)
            bus.acquire()
            assert texts(read(bus)) == ["two"]


def test_a_commit_whose_answer_was_lost_is_not_handed_out_twice(tmp_path: Path) -> None:
    """The connection breaks after EXEC left: what the server took must not come back, what it did not take must."""
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        for text in ("one", "two"):
            admin.one("XADD", "kobe:signals", "*", "text", text)
        connection = LossyConnection(Address.parse(server.url))
        bus = RedisBus(connection, GATE, "a")
        with closing(bus):
            bus.acquire()
            first, _ = read(bus)
            connection.lose_next_exec = True
            with pytest.raises(TransientError):
                bus.commit(Step(version=0, changed={"n": "1"}, acks=[first]))
            assert bus.load().version == 1
            assert [(entry.fields["text"], entry.deliveries) for entry in read(bus)] == [("two", 1)]


class LossyConnection(RedisConnection):
    """A connection that can lose the answer to an EXEC."""

    lose_next_exec = False

    def ask(self, *commands: tuple[object, ...], block: float = 0.0) -> list[object]:
        answers = super().ask(*commands, block=block)
        if self.lose_next_exec and commands[-1] == ("EXEC",):
            self.lose_next_exec = False
            self.close()
            raise TransientError("lost")
        return answers


def test_a_server_that_lost_its_streams_is_a_transient_error_with_a_sentence() -> None:
    with redis_server() as server:
        bus = RedisBus(server.connection(), GATE, "a")
        with closing(bus), pytest.raises(TransientError, match="init-streams"):
            read(bus)


def test_nobody_at_the_address_is_a_transient_error_with_growing_delays() -> None:
    bus = RedisBus.connect("redis://127.0.0.1:1", GATE, "a")
    delays = []
    for _ in range(8):
        with pytest.raises(TransientError) as away:
            bus.load()
        delays.append(away.value.retry_after or 0)
    assert delays[0] <= 0.1
    assert 1.0 <= delays[-1] <= 2.0


def test_bytes_that_are_no_text_reach_the_reader_as_an_entry(tmp_path: Path) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        admin.one("XADD", "kobe:signals", "*", "data", b"\xff\x00\xfe")
        bus = RedisBus(server.connection(), GATE, "a")
        with closing(bus):
            bus.acquire()
            (entry,) = read(bus)
            bus.commit(Step(version=0, dead=[DeadLetter(entry, "no text")]))
            assert [fields["reason"] for _, fields in bus.stream_after(DEAD, "0", 10)] == ["no text"]
