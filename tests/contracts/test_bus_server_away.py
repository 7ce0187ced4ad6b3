"""What the bus promises when its server dies, forgets or answers nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from shared.domain.errors import TransientError
from shared.runtime.bus.protocol import DeadLetter, Step
from shared.runtime.bus.redis_bus import RedisBus
from shared.runtime.bus.redis_connection import Address, RedisConnection
from shared.runtime.provisioning.streams import init_streams
from shared.schemas.envelope import Malformed, from_fields
from shared.schemas.streams import DEAD, Stream
from tests.contracts.bus_world import GATE, all_of, read, texts
from tests.servers import redis_binary, redis_server, valkey_binary


@pytest.mark.parametrize("kind", ["redis-server", "valkey"])
def test_after_kill_9_of_the_server_all_state_is_found_again(kind: str, tmp_path: Path) -> None:
    with (
        redis_server(valkey_binary() if kind == "valkey" else redis_binary()) as server,
        closing(server.connection()) as admin,
    ):
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
    """The connection breaks after EXEC left.

    What the server took must not come back, what it did not take must.
    """
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
            with pytest.raises(Malformed, match="not UTF-8"):
                from_fields(entry.fields)
            bus.commit(Step(version=0, dead=[DeadLetter(entry, "no text")]))
            assert [fields["reason"] for _, fields in bus.stream_after(DEAD, "0", 10)] == [
                "no text"
            ]
