"""What every bus promises of a step.

All of it or nothing, and only on the ground it was decided on.
"""

from __future__ import annotations

import threading

import pytest

from shared.runtime.bus.protocol import Bus, Conflict, DeadLetter, Entry, Fenced, Step
from shared.schemas.streams import DEAD, KILL_LOG, KILL_RESUME, Stream, lease_key, state_key
from tests.contracts.bus_world import GATE, LEASE, World, all_of, read


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
    world.hset(KILL_RESUME, "record", "another")
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
    clones = [world.bus(fence=bus.load().fence) for _ in range(8)]
    taken = []

    def race(clone: Bus) -> None:
        for _ in range(10):
            record = clone.load()
            try:
                clone.commit(
                    Step(
                        version=record.version,
                        changed={"n": str(int(record.fields.get("n", 0)) + 1)},
                    )
                )
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


def test_poison_goes_to_the_dead_letters_without_harm_to_its_batch(world: World) -> None:
    world.say(Stream.SIGNALS, "good", "poison", "also good")
    bus = world.holder()
    first, poison, last = read(bus)
    bus.commit(
        Step(
            version=0,
            changed={"n": "2"},
            acks=[first, last],
            dead=[DeadLetter(poison, "unknown type")],
        )
    )
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
