"""The one thing a fresh machine may lack is Python itself."""

import shutil
import subprocess
from pathlib import Path

from tests.requirements import Requirement, require

ROOT = Path(__file__).resolve().parents[2]


def test_without_python_311_make_says_what_is_needed(tmp_path: Path) -> None:
    require(Requirement.MAKE)
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "locks", tmp_path / "locks")
    command = ["make", "-C", str(tmp_path), "PYTHON=/nowhere/python3", "demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Kobe81 needs Python 3.11 or later" in done.stderr
    assert "Traceback" not in done.stderr
