"""What every bus promises of the kill log, of reading by position and of trimming."""

from __future__ import annotations

import json

import pytest

from shared.runtime.bus.protocol import KillView, Step
from shared.schemas.streams import (
    DEAD,
    GENESIS,
    GENESIS_ID,
    KILL_LOG,
    KILL_RESUME,
    READS,
    ServiceName,
    Stream,
    state_key,
)
from tests.contracts.bus_world import EXECUTOR, World, all_of, read, texts


def test_the_latchs_keys_are_read_verbatim(world: World) -> None:
    bus = world.bus()
    assert bus.kill_view() == KillView(GENESIS_ID, GENESIS)
    kill_id = bus.append_kill({"why": "stop"})
    assert bus.kill_view() == KillView(kill_id, GENESIS)


@pytest.mark.parametrize("key", [KILL_LOG, KILL_RESUME])
def test_an_absent_key_of_the_latch_is_read_as_none(world: World, key: str) -> None:
    world.delete(key)
    view = world.bus().kill_view()
    assert (view.last_id is None) == (key == KILL_LOG)
    assert (view.record is None) == (key == KILL_RESUME)


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


def test_a_writer_trims_only_what_the_auditor_has_and_every_group_has_finished(
    world: World,
) -> None:
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


def test_a_writer_sees_how_far_the_auditor_is_behind_its_readers(world: World) -> None:
    writer = world.bus(EXECUTOR)
    world.say(Stream.EXECUTIONS, "one", "two")
    ids = [entry_id for entry_id, _ in writer.stream_after(Stream.EXECUTIONS, "0", 10)]
    finish_everywhere(world, Stream.EXECUTIONS)
    assert writer.audit_progress(Stream.EXECUTIONS) == ("0", ids[1])
    world.hset(state_key(ServiceName.AUDITOR), "position:executions", json.dumps(ids[0]))
    assert writer.audit_progress(Stream.EXECUTIONS) == (ids[0], ids[1])


def test_reading_goes_on_after_a_trim(world: World) -> None:
    world.say(Stream.EXECUTIONS, "one", "two")
    finish_everywhere(world, Stream.EXECUTIONS)
    writer = world.bus(EXECUTOR)
    world.hset(state_key(ServiceName.AUDITOR), "position:executions", json.dumps("9999999999999-0"))
    assert writer.trim(Stream.EXECUTIONS, "9999999999999-0") == 1
    world.say(Stream.EXECUTIONS, "three")
    assert texts(read(world.holder())) == ["three"]
