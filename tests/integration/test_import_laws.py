"""Each import contract of pyproject.toml refuses the import it is there to refuse."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]

# Per contract: a file of the house, and a line that must not stand in it.
PLANTED = {
    "islands": ("services/risk_gate/handlers.py", "import services.console.demo"),
    "rooms": ("shared/rules/spread.py", "from shared.strategies import donchian"),
    "shared-first": ("shared/runtime/clock.py", "import services.scheduler.handlers"),
    "no-circles": (
        "services/auditor/chain/record.py",
        "def late() -> None:\n    import services.auditor.evidence.verify",
    ),
    "runtime": ("shared/runtime/bus/protocol.py", "import shared.runtime.runner.contract"),
    "research": (
        "services/research/engine/simulate.py",
        "import services.research.reports.artifacts",
    ),
    "sim-broker": (
        "services/sim_broker/exchange/matching.py",
        "import services.sim_broker.journal",
    ),
    "pure": ("shared/domain/risk/book.py", "import time"),
    "small": ("services/executor/handlers.py", "import numpy"),
    "calendar": ("services/signal_engine/handlers.py", "import exchange_calendars"),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the house in which to plant."""
    folder = tmp_path_factory.mktemp("house")
    for room in ("shared", "services"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@contextmanager
def planted(path: Path, line: str) -> Iterator[None]:
    """Append the line to the file for a while."""
    text = path.read_text()
    path.write_text(f"{text}\n{line}\n")
    try:
        yield
    finally:
        path.write_text(text)


def lint(house: Path, contract: str) -> subprocess.CompletedProcess[str]:
    """Run one contract over the copy."""
    program = str(Path(sys.executable).with_name("lint-imports"))
    command = [program, "--contract", contract, "--cache-dir", str(house / ".cache")]
    environment = {"PATH": "", "PYTHONPATH": str(house)}
    return subprocess.run(
        command, cwd=house, env=environment, capture_output=True, text=True, check=False
    )


def test_every_contract_has_a_planted_import() -> None:
    assert {contract["id"] for contract in CONTRACTS} == set(PLANTED)


@pytest.mark.parametrize("contract", PLANTED)
def test_a_forbidden_import_breaks_its_contract(house: Path, contract: str) -> None:
    file, line = PLANTED[contract]
    assert lint(house, contract).returncode == 0
    with planted(house / file, line):
        done = lint(house, contract)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout
