"""What every kill latch promises.

Over Redis and Valkey in its own thread, and in one process without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.domain.errors import InvalidMessage, UserError
from shared.runtime.kill.record import ResumeCheck, write_record
from shared.runtime.kill.status import from_hash
from shared.schemas.messages import KillCleared
from shared.schemas.streams import GENESIS, GENESIS_ID, KILL_LOG, KILL_RESUME
from shared.schemas.values import Mode
from tests.builders import envelope
from tests.contracts.kill_world import (
    EXECUTOR,
    GATE,
    OPERATOR,
    World,
    durable,
    eventually,
    halted,
    memory_world,
    redis_world,
)
from tests.operator_keys import Operator
from tests.servers import Server, redis_binary, redis_server, valkey_binary


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], Server]]:
    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def server(kind: str) -> Server:
            if kind not in running:
                running[kind] = stack.enter_context(
                    redis_server(valkey_binary() if kind == "valkey" else redis_binary())
                )
            return running[kind]

        yield server


@pytest.fixture(params=["memory", "redis-server", "valkey"])
def world(
    request: pytest.FixtureRequest, servers: Callable[[str], Server], tmp_path: Path
) -> Iterator[World]:
    yield from (
        memory_world(tmp_path)
        if request.param == "memory"
        else redis_world(servers(request.param), tmp_path)
    )


def test_a_stack_that_was_just_made_runs(world: World) -> None:
    latch = world.latch()
    assert latch.reasons() == ()
    assert not durable(latch)


def test_a_published_kill_halts_and_stands_in_the_log(world: World) -> None:
    latch = world.latch()
    world.publish("fire in the hall")
    eventually(lambda: latch.reasons() == ("killed: fire in the hall",), seconds=1.0)
    eventually(lambda: durable(latch))
    entries = world.log()
    assert entries[-1][1] == {"by": "risk-gate", "why": "fire in the hall"}


def test_every_listening_service_halts_and_logs(world: World) -> None:
    latches = [world.latch(GATE), world.latch(EXECUTOR)]
    world.publish("stop")
    for latch in latches:
        eventually(lambda latch=latch: halted(latch))  # type: ignore[misc]
    eventually(
        lambda: {fields["by"] for _, fields in world.log()} == {"init", "risk-gate", "executor"}
    )


PAYLOADS = {
    "empty": "",
    "spaces and lines": " \n\r\x00\t",
    "binary": "\udcff\udcfe\x00\udc80",
    "a word that sounds like resume": '{"type":"KillCleared","cleared_id":"9999999999999-0"}',
    "as much as the server takes": "x" * 1_000_000,
    "markup": "<script>alert(1)</script>",
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_any_payload_is_a_kill(world: World, payload: str) -> None:
    latch = world.latch()
    world.publish(payload)
    eventually(lambda: halted(latch) and durable(latch))
    why = world.log()[-1][1]["why"]
    assert 0 < len(why) <= 200
    assert why.isprintable()


def test_a_flood_of_kills_is_one_entry_a_look_not_one_each(world: World) -> None:
    latch = world.latch()
    for _ in range(500):
        world.publish("stop")
    eventually(lambda: halted(latch) and durable(latch))
    assert len(world.log()) < 60


def test_a_killed_service_restarts_killed(world: World) -> None:
    first = world.latch()
    world.publish("stop")
    eventually(lambda: durable(first))
    assert world.latch().reasons() == ("killed: stop",)


def test_a_service_that_was_down_during_the_kill_comes_up_halted(world: World) -> None:
    listener = world.latch(EXECUTOR)
    world.publish("stop")
    eventually(lambda: durable(listener))
    assert world.latch(GATE).reasons() == ("killed: stop",)


def test_a_resume_clears_what_its_author_saw(world: World) -> None:
    latch = world.latch()
    latch.halt("drift")
    eventually(lambda: durable(latch))
    world.resume(world.log()[-1][0])
    eventually(lambda: latch.reasons() == ())
    assert world.latch().reasons() == ()


def test_a_resume_does_not_clear_a_kill_that_came_after_its_author_looked(world: World) -> None:
    latch = world.latch()
    latch.halt("first")
    latch.refresh()
    seen = world.log()[-1][0]
    latch.halt("second")
    world.resume(seen)
    latch.refresh()
    assert latch.reasons() == ("killed: second",)
    assert durable(latch)


def test_an_older_resume_does_not_undo_a_newer_one(world: World) -> None:
    latch = world.latch()
    latch.halt("first")
    older = world.log()[-1][0]
    latch.halt("second")
    world.resume(world.log()[-1][0])
    world.resume(older)
    eventually(lambda: latch.reasons() == ())


def test_nobody_can_clear_a_kill_that_has_not_happened(world: World) -> None:
    latch = world.latch()
    with pytest.raises(UserError, match="cannot have been seen"):
        world.resume("9999999999999-0")
    with pytest.raises(UserError, match="not the id"):
        world.resume("tomorrow")
    latch.halt("stop")
    assert halted(latch)


def test_without_the_log_everything_is_halted_and_cannot_be_resumed(world: World) -> None:
    latch = world.latch()
    world.delete(KILL_LOG)
    eventually(lambda: "kill keys absent" in latch.reasons())
    with pytest.raises(UserError, match="halted"):
        world.resume("1-0")


def test_without_the_resume_key_everything_is_halted_until_the_operator_signs_one(
    world: World,
) -> None:
    latch = world.latch()
    latch.halt("look")
    eventually(lambda: durable(latch))
    world.delete(KILL_RESUME)
    eventually(lambda: "kill keys absent" in latch.reasons())
    world.resume(world.log()[-1][0])
    eventually(lambda: latch.reasons() == ())


Forge = Callable[[str], str]
FORGERIES: dict[str, Forge] = {
    "nothing": lambda last: "",
    "an id": lambda last: last,
    "no record": lambda last: f'{{"cleared_id":"{last}"}}',
    "unsigned": lambda last: write_record(
        envelope(KillCleared(cleared_id=last, by="me", why="x"), mode=Mode.PAPER, account="paper")
    ),
    "another key": Operator(Mode.PAPER, "paper").record,
    "another account": lambda last: OPERATOR.record(last, account="other"),
    "another mode": lambda last: OPERATOR.record(last, mode=Mode.LIVE),
    "another writer": lambda last: OPERATOR.record(last, writer=EXECUTOR),
    "changed after signing": lambda last: OPERATOR.record("0-2").replace("0-2", last),
    "beyond the end": lambda last: OPERATOR.record("99999999999999-0"),
    "not an id": lambda last: OPERATOR.record("tomorrow"),
    "an older one": lambda last: OPERATOR.record(GENESIS_ID),
    "genesis": lambda last: GENESIS,
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_no_record_but_the_operators_own_disarms_a_kill_or_the_next_one(
    world: World, forge: Forge
) -> None:
    latch = world.latch()
    latch.halt("first")
    eventually(lambda: durable(latch))
    world.write_record(forge(world.log()[-1][0]))
    for _ in range(3):
        latch.refresh()
        assert halted(latch)
    world.publish("second")
    eventually(lambda: "killed: second" in latch.reasons())
    assert halted(world.latch())


def test_a_service_that_has_nothing_pinned_obeys_no_resume(world: World) -> None:
    check = ResumeCheck(Mode.PAPER, "paper")
    latch = world.latch()
    latch.halt("stop")
    eventually(lambda: durable(latch))
    record = OPERATOR.record(world.log()[-1][0])
    with pytest.raises(InvalidMessage, match="unknown"):
        check.cleared_id(record)


def test_a_touched_file_halts_at_once_and_stands_in_the_log(world: World) -> None:
    latch = world.latch()
    world.kill_file.touch()
    assert "kill file" in latch.reasons()
    eventually(lambda: durable(latch))
    assert world.log()[-1][1]["why"] == "kill file"


def test_a_kill_file_wins_until_it_is_removed_and_then_resumed(world: World) -> None:
    latch = world.latch()
    world.kill_file.touch()
    eventually(lambda: durable(latch))
    world.resume(world.log()[-1][0])
    eventually(lambda: durable(latch) and len(world.log()) >= 3)
    world.kill_file.unlink()
    for _ in range(3):
        latch.refresh()
        assert halted(latch)
    world.resume(world.log()[-1][0])
    eventually(lambda: latch.reasons() == ())


def test_removing_a_kill_file_while_its_service_is_down_resumes_nothing(world: World) -> None:
    first = world.latch()
    world.kill_file.touch()
    eventually(lambda: durable(first))
    again = world.latch()
    world.kill_file.unlink()
    assert halted(again)
    assert halted(world.latch())


def test_an_older_log_than_this_service_has_seen_halts_until_a_newer_kill_is_resumed(
    world: World,
) -> None:
    latch = world.latch()
    latch.halt("stop")
    eventually(lambda: durable(latch))
    world.resume(world.log()[-1][0])
    eventually(lambda: latch.reasons() == ())
    world.delete(KILL_LOG)
    world.append("1-0", "an old copy")
    world.write_record(OPERATOR.record("1-0"))
    again = world.latch()
    eventually(lambda: any("redis_regressed" in reason for reason in again.reasons()))
    world.publish("recovered")
    eventually(lambda: durable(again) and "killed: recovered" in again.reasons())
    world.resume(world.log()[-1][0])
    eventually(lambda: again.reasons() == ())


def test_each_latch_reports_what_it_knows(world: World) -> None:
    latch = world.latch()
    eventually(lambda: from_hash(world.report(GATE)) is not None)
    world.publish("stop")

    def reported() -> bool:
        latch.refresh()
        status = from_hash(world.report(GATE))
        return status is not None and status.is_halted and status.seen_id == world.log()[-1][0]

    eventually(reported, seconds=1.0)
    status = from_hash(world.report(GATE))
    assert status is not None
    assert (status.mode, status.account, status.reasons) == (
        Mode.PAPER,
        "paper",
        ("killed: stop",),
    )


def test_an_unreadable_flag_of_an_earlier_life_halts(world: World) -> None:
    folder = world.folder / GATE.value
    folder.mkdir()
    (folder / "killed.json").write_bytes(b'{"id"')
    latch = world.latch()
    assert halted(latch)
    eventually(lambda: durable(latch))


def test_a_resume_that_nobody_would_obey_is_not_written(world: World) -> None:
    latch = world.latch()
    latch.halt("stop")
    eventually(lambda: durable(latch))
    with pytest.raises(UserError, match="No service would obey"):
        world.resume_as(Operator(Mode.PAPER, "paper"), world.log()[-1][0])
