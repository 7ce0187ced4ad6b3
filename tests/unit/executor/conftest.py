"""A floor, and a server that misbehaves on order, for every test of the executor."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.executor.alpaca_orders import OPENED
from tests.unit.executor.floor import Floor
from tests.unit.executor.scripted_server import ScriptedServer


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return Floor(tmp_path).open()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    while OPENED:
        OPENED.pop().close()
    server.stop()
