"""A floor for every test of the executor."""

from pathlib import Path

import pytest

from tests.services.executor.floor import Floor


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return Floor(tmp_path).open()
