"""The bus on every implementation: in memory, on redis-server, on Valkey, in a container."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contracts.bus_world import World, memory_world, redis_world
from tests.requirements import Requirement, require
from tests.servers import any_redis, docker_answers, redis_binary, redis_server, valkey_binary


@pytest.fixture(scope="session")
def server_urls() -> Iterator[Callable[[str], str]]:
    """Servers are started when first asked for and live for the session."""
    started: dict[str, str] = {}
    with ExitStack() as stack:

        def url(kind: str) -> str:
            if kind not in started:
                if kind == "container":
                    require(Requirement.DOCKER, found=docker_answers())
                    started[kind] = stack.enter_context(any_redis())
                else:
                    binary = valkey_binary() if kind == "valkey" else redis_binary()
                    started[kind] = stack.enter_context(redis_server(binary)).url
            return started[kind]

        yield url


@pytest.fixture(
    params=["memory", "redis-server", "valkey", pytest.param("container", marks=pytest.mark.docker)]
)
def world(
    request: pytest.FixtureRequest, server_urls: Callable[[str], str], tmp_path: Path
) -> Iterator[World]:
    if request.param == "memory":
        yield memory_world()
    else:
        yield from redis_world(server_urls(request.param), tmp_path / "genesis")
