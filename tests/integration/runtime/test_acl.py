"""Rights in Redis: every user x command x key, and the traps of ACLs, on the servers themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoPermissionError

from shared.domain.errors import TransientError
from shared.runtime.bus.protocol import DeadLetter, KillView, Step
from shared.runtime.bus.redis_bus import RedisBus
from shared.runtime.bus.redis_connection import Address, RedisConnection
from shared.runtime.kill.latch import KillLatch
from shared.runtime.kill.line import RedisKillLine
from shared.runtime.kill.resume import resume
from shared.runtime.provisioning.redis_acl import DEFAULT_USER, User, acl_file, users
from shared.runtime.provisioning.streams import init_streams
from shared.schemas.streams import GENESIS, GENESIS_ID, READS, WRITER, ServiceName, Stream
from shared.schemas.values import Mode
from tests.operator_keys import Operator
from tests.rights import (
    KEYS,
    LOGS,
    OPEN_TO_ALL,
    SERVICES,
    SPECIAL,
    STREAM_KEYS,
    commands_of,
    meant,
    meant_keyless,
)
from tests.servers import Server, redis_binary, redis_server, valkey_binary

ADMIN = "user admin on nopass ~* &* +@all\n"
PASSWORDS = {user.name: f"secret of {user.name}" for user in users()}


@pytest.fixture(scope="module", params=["redis-server", "valkey"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    binary = valkey_binary() if request.param == "valkey" else redis_binary()
    with redis_server(binary, acl=acl_file(PASSWORDS) + ADMIN) as running:
        with closing(connection_of(running, "init")) as init:
            init_streams(init, tmp_path_factory.mktemp("marker") / "genesis")
        yield running


@pytest.fixture
def admin(server: Server) -> Iterator[RedisConnection]:
    with closing(server.connection("admin", "any")) as connection:
        yield connection


def connection_of(server: Server, user: str) -> RedisConnection:
    return server.connection(user, PASSWORDS[user])


def permitted(admin: RedisConnection, user: str, tries: list[tuple[str, ...]]) -> list[bool]:
    """What ACL DRYRUN says; an answer that is neither yes nor no fails the test."""
    answers = []
    for start in range(0, len(tries), 500):
        answers += admin.ask(
            *(("ACL", "DRYRUN", user, *argv) for argv in tries[start : start + 500])
        )
    verdicts = [answer == "OK" for answer in answers]
    odd = [
        (argv, answer)
        for argv, answer in zip(tries, answers, strict=True)
        if answer != "OK" and "no permissions" not in str(answer)
    ]
    assert not odd, odd[:5]
    return verdicts


@pytest.mark.parametrize("user", [*SERVICES, "init", "kill"])
def test_what_is_not_on_the_list_is_refused_for_every_command_and_key(
    admin: RedisConnection, user: str
) -> None:
    commands = [command for command in commands_of(admin) if command.at]
    assert len(commands) > 100
    tries = [(command, key) for command in commands for key in KEYS]
    verdicts = permitted(admin, user, [command.on(key) for command, key in tries])
    wrong = [
        (command.name, key, "permitted" if verdict else "refused")
        for (command, key), verdict in zip(tries, verdicts, strict=True)
        if verdict != meant(user, command.name, key)
    ]
    assert wrong == []


@pytest.mark.parametrize("user", [*SERVICES, "init", "kill"])
def test_commands_without_a_key_are_refused_unless_on_the_list(
    admin: RedisConnection, user: str
) -> None:
    commands = [command for command in commands_of(admin) if not command.at]
    names = {command.name for command in commands}
    assert {
        "flushall",
        "config|set",
        "acl|setuser",
        "shutdown",
        "script|load",
        "client|kill",
        "monitor",
    } <= names
    verdicts = permitted(admin, user, [command.argv for command in commands])
    wrong = [
        (command.name, verdict)
        for command, verdict in zip(commands, verdicts, strict=True)
        if verdict != meant_keyless(user, command.name) and command.name not in OPEN_TO_ALL
    ]
    assert wrong == []


@pytest.mark.parametrize("user", [*SERVICES, "init", "kill"])
def test_the_kill_channel_is_the_only_one(admin: RedisConnection, user: str) -> None:
    publishes = user in ("kill", "console")
    listens = user in SERVICES
    tries = [("publish", "kobe:kill", "x"), ("subscribe", "kobe:kill")]
    assert permitted(admin, user, tries) == [publishes, listens]
    others = [
        ("publish", "other", "x"),
        ("subscribe", "other"),
        ("psubscribe", "*"),
        ("spublish", "kobe:kill", "x"),
    ]
    assert not any(permitted(admin, user, others))


def test_research_reaches_its_queue_and_nothing_of_the_order_path(admin: RedisConnection) -> None:
    commands = [command for command in commands_of(admin) if command.at]
    ours = [key for key in KEYS if key.startswith("kobe:")]
    tries = [command.on(key) for command in commands for key in ours]
    verdicts = permitted(admin, "research", tries)
    assert [argv for argv, verdict in zip(tries, verdicts, strict=True) if verdict] == []
    assert all(
        permitted(admin, "research", [("set", "rq:job:1", "x"), ("publish", "rq:pubsub:1", "x")])
    )
    assert not any(
        permitted(
            admin,
            "research",
            [("flushall",), ("config", "set", "a", "b"), ("publish", "kobe:kill", "")],
        )
    )


@pytest.mark.parametrize("user", [user.name for user in users() if user.name != "risk-gate"])
def test_only_the_gate_can_write_an_order(
    server: Server, admin: RedisConnection, user: str
) -> None:
    before = admin.one("XLEN", "kobe:orders")
    with closing(server.connection(user, PASSWORDS[user])) as forger:
        answer = forger.ask(("XADD", "kobe:orders", "*", "type", "OrderApproved"))[0]
        in_multi = forger.ask(
            ("MULTI",), ("XADD", "kobe:orders", "*", "type", "OrderApproved"), ("EXEC",)
        )
    assert isinstance(answer, NoPermissionError)
    assert any(isinstance(reply, Exception) for reply in in_multi)
    assert admin.one("XLEN", "kobe:orders") == before


@pytest.mark.parametrize("password", ["", "wrong"])
@pytest.mark.parametrize("user", ["default", *SERVICES, "init", "nobody"])
def test_nobody_logs_in_without_the_password(server: Server, user: str, password: str) -> None:
    with closing(server.connection(user if password else "", password)) as stranger:
        try:
            answers: list[Any] = stranger.ask(("PING",), ("XLEN", "kobe:orders"))
        except TransientError as error:
            answers = [error]
    assert all(isinstance(answer, Exception) for answer in answers)


def test_anyone_can_kill_with_any_password(server: Server) -> None:
    for password in ("kill", "whatever"):
        with closing(server.connection("kill", password)) as killer:
            assert killer.one("PUBLISH", "kobe:kill", "why") == 0


@pytest.mark.parametrize("service", list(ServiceName))
def test_every_service_can_do_its_work_with_its_own_rights(
    server: Server, admin: RedisConnection, service: ServiceName, tmp_path: Path
) -> None:
    """Lease, read, step with everything in it, latch, trim: as that user, with nothing refused."""
    admin.one("ACL", "LOG", "RESET")
    for stream in READS[service]:
        admin.one("XADD", stream.key, "*", "text", "good")
        admin.one("XADD", stream.key, "*", "text", "poison")
    with closing(RedisBus(connection_of(server, service.value), service, "a")) as bus:
        record = bus.acquire()
        assert record is not None
        entries = bus.read(count=1000, block_ms=1)
        written = [stream for stream in Stream if WRITER[stream] is service]
        step = Step(
            version=record.version,
            changed={"a": "1"},
            removed=["b"],
            outputs=[(stream, {"text": "said"}) for stream in written],
            acks=entries[1:],
            dead=[DeadLetter(entry, "poison") for entry in entries[:1]],
            kill=bus.kill_view(),
        )
        bus.commit(step)
        bus.renew()
        for stream in written:
            bus.trim(stream, "1-0")
        bus.release()
    latch_as(server, service, tmp_path)
    denied = admin.one("ACL", "LOG")
    assert denied == []


OPERATOR = Operator(Mode.PAPER, "paper")


def latch_as(server: Server, service: ServiceName, folder: Path) -> None:
    address = Address.parse(server.url, username=service.value, password=PASSWORDS[service.value])
    line = RedisKillLine(address, service, "a")
    latch = KillLatch(line, service, check=OPERATOR.check(), state_dir=folder)
    latch.refresh()
    latch.halt("a drill")
    latch.refresh()
    assert latch.reasons() == ("killed: a drill",)
    with closing(connection_of(server, "console")) as console:
        seen = str(latch.view().last_id)
        resume(console, *OPERATOR.resume(seen), OPERATOR.check())
    latch.refresh()
    assert latch.reasons() == ()
    latch.stop()


def test_the_auditor_reads_everything_that_is_said(server: Server) -> None:
    with closing(RedisBus(connection_of(server, "auditor"), ServiceName.AUDITOR, "a")) as bus:
        for key in (*STREAM_KEYS, *LOGS):
            assert len(list(bus.stream_after(key, "0", 1))) <= 1


# --- the traps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("binary", ["redis-server", "valkey"])
def test_everything_is_found_again_after_kill_9_with_the_acl_file(
    binary: str, tmp_path: Path
) -> None:
    """Redis 7.0 drops every MULTI on reload if `default` lacks rights.

    Ours is off and has them all.
    """
    path = valkey_binary() if binary == "valkey" else redis_binary()
    with redis_server(path, acl=acl_file(PASSWORDS)) as server:
        with closing(connection_of(server, "init")) as init:
            init_streams(init, tmp_path / "genesis")
        with closing(
            RedisBus(connection_of(server, "risk-gate"), ServiceName.RISK_GATE, "a")
        ) as bus:
            bus.acquire()
            for version in range(20):
                bus.commit(
                    Step(
                        version=version,
                        changed={"n": str(version)},
                        outputs=[(Stream.ORDERS, {"n": str(version)})],
                    )
                )
        server.kill()
        server.start()
        with closing(
            RedisBus(connection_of(server, "risk-gate"), ServiceName.RISK_GATE, "a")
        ) as bus:
            record = bus.load()
            assert (record.version, record.fence, record.fields) == (20, 1, {"n": "19"})
            assert bus.kill_view() == KillView(GENESIS_ID, GENESIS)
        with closing(RedisBus(connection_of(server, "auditor"), ServiceName.AUDITOR, "a")) as bus:
            assert [fields["n"] for _, fields in bus.stream_after("kobe:orders", "0", 100)] == [
                str(n) for n in range(20)
            ]


def test_watch_with_root_rights_but_no_keys_there_would_be_refused(admin: RedisConnection) -> None:
    """Why `watch` stands in a selector: a permission must allow command and key together."""
    admin.one(
        "ACL", "SETUSER", "trap", "reset", "on", "nopass", "+watch", "(~kobe:state:trap +hget)"
    )
    assert permitted(admin, "trap", [("watch", "kobe:state:trap")]) == [False]


def test_a_reader_needs_write_on_the_key_to_acknowledge_so_only_selectors_stop_it_from_forging(
    admin: RedisConnection,
) -> None:
    admin.one(
        "ACL", "SETUSER", "trap", "reset", "on", "nopass", "%R~kobe:orders", "+xreadgroup", "+xack"
    )
    tries = [SPECIAL["xreadgroup"].on("kobe:orders"), ("xack", "kobe:orders", "g", "1-0")]
    assert permitted(admin, "trap", tries) == [True, False]
    ours = [SPECIAL["xreadgroup"].on("kobe:orders"), ("xack", "kobe:orders", "executor", "1-0")]
    assert permitted(admin, "executor", [*ours, ("xadd", "kobe:orders", "*", "a", "b")]) == [
        True,
        True,
        False,
    ]


def test_the_file_has_one_line_a_user_and_no_password_in_it() -> None:
    text = acl_file(PASSWORDS)
    lines = text.splitlines()
    assert lines[0] == DEFAULT_USER
    assert [line.split()[:2] for line in lines] == [
        ["user", name] for name in ("default", *(u.name for u in users()))
    ]
    assert not any(password in text for password in PASSWORDS.values())
    assert "setinfo" not in text


def test_a_user_without_a_password_does_not_exist() -> None:
    assert "user executor " not in acl_file(
        {name: text for name, text in PASSWORDS.items() if name != "executor"}
    )
    assert "nopass" not in User("x", ()).line("secret")
