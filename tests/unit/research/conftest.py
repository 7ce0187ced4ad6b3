"""What every research test has: a state folder of its own, so that no ledger is shared."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own_state"
    monkeypatch.setenv("KOBE_STATE_DIR", str(folder))
    return folder
