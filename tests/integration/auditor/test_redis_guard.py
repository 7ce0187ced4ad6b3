"""The guard beside the auditor, on real servers.

Refusals become a metric, strangers are shown out.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from services.auditor.redis_guard import RedisGuard
from shared.domain.errors import InvariantBroken
from shared.runtime.bus.redis_connection import RedisConnection, info_of
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.provisioning.redis_acl import acl_file, users
from tests.fakes import KeptLog
from tests.servers import Server, redis_binary, redis_server, valkey_binary

PASSWORDS = {user.name: f"pw-{user.name}" for user in users() if not user.nopass}


@pytest.fixture(params=["redis-server", "valkey"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    binary = valkey_binary() if request.param == "valkey" else redis_binary()
    with redis_server(binary, acl=acl_file(PASSWORDS), config={"maxclients": "200"}) as server:
        yield server


def connection(server: Server, user: str) -> RedisConnection:
    return server.connection(user, PASSWORDS.get(user, "any"))


@contextmanager
def strangers(server: Server, count: int) -> Iterator[list[socket.socket]]:
    """Connections that say nothing."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", server.port))))
            for _ in range(count)
        ]


def total(metrics: MetricRegistry, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, {"service": "auditor", **labels}) or 0.0


def test_every_refusal_is_counted_once_by_user_and_reason(server: Server) -> None:
    metrics, log = MetricRegistry("auditor"), KeptLog()
    guard = RedisGuard(connection(server, "auditor"), metrics, log)
    guard.look()
    with closing(connection(server, "executor")) as thief:
        for _ in range(3):
            with pytest.raises(InvariantBroken):
                thief.one("XADD", "kobe:orders", "*", "data", "forged")
        with pytest.raises(InvariantBroken):
            thief.one("FLUSHALL")
    for _ in range(3):
        guard.look()
    denied = "kobe_redis_acl_denied_total"
    assert total(metrics, denied, user="executor", reason="key") + total(
        metrics, denied, user="executor", reason="command"
    ) == pytest.approx(4)
    assert total(metrics, denied, user="risk-gate", reason="key") == 0.0
    assert set(log.events) == {"redis_acl_denied"}


def test_who_does_not_log_in_is_shown_out_and_a_kill_gets_through(server: Server) -> None:
    metrics = MetricRegistry("auditor")
    with closing(connection(server, "executor")) as service:
        service.one("PING")
        guard = RedisGuard(connection(server, "auditor"), metrics, KeptLog()).start()
        time.sleep(0.2)
        with strangers(server, 250):
            eventually_publishes(server)
            assert service.one("PING") == "PONG"
            assert int(info_of(service, "clients")["connected_clients"]) < 60
            assert total(metrics, "kobe_redis_strangers_disconnected_total") > 150
        guard.stop()


def eventually_publishes(server: Server) -> None:
    until = time.monotonic() + 6
    while True:
        try:
            with closing(server.connection("kill", "any")) as killer:
                killer.one("PUBLISH", "kobe:kill", "now")
                return
        except Exception:  # noqa: BLE001  cut off in any way
            assert time.monotonic() < until, "the kill never got through"
            time.sleep(0.1)
