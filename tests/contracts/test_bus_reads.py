"""What every bus promises a reader."""

from __future__ import annotations

import time

from shared.runtime.bus.protocol import Step
from shared.schemas.streams import READS, ServiceName, Stream
from tests.contracts.bus_world import GATE, LEASE, World, read, texts


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
    assert [entry.stream for entry in entries] == [
        stream for stream in READS[GATE] if stream not in (Stream.QUOTES, Stream.BARS)
    ]


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


def test_after_a_restart_own_pending_entries_come_first_and_count_their_deliveries(
    world: World,
) -> None:
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


def test_a_new_holder_takes_over_what_a_dead_replica_left_at_once_and_in_order(
    world: World,
) -> None:
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
