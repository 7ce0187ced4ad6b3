"""The strategy and the rule of docs/extending.md are found and keep every law."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()

pytestmark = pytest.mark.slow


def python_blocks(heading: str) -> list[str]:
    """Return the Python blocks below a heading of the second level."""
    section = re.split(rf"^## {heading}$", PAGE, flags=re.MULTILINE)[1].split("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with that folder's modules first."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def strategy(tmp_path: Path) -> Path:
    (block,) = python_blocks("A strategy")
    path = tmp_path / "strategies" / "pullback.py"
    path.parent.mkdir()
    path.write_text(block)
    return path


def test_the_strategy_of_the_page_does_not_look_ahead_and_trades(strategy: Path) -> None:
    cli = ("-m", "services.console.cli.app")
    checked = run(*cli, "check-strategy", str(strategy), cwd=ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = run(*cli, "backtest", "--strategy", str(strategy), "--json", cwd=ROOT)
    assert tested.returncode == 0, tested.stderr
    assert json.loads(tested.stdout)["metrics"]["trades"] > 0


def test_the_contract_suite_finds_the_strategy_of_the_page(strategy: Path) -> None:
    config = (ROOT / "compose" / "kobe.toml").read_text()
    config = config.replace('folder = ""', f'folder = "{strategy.parent}"', 1)
    settings = strategy.with_name("kobe.toml")
    settings.write_text(config)
    suite = ("-m", "pytest", "-q", "tests/contracts/test_strategies.py", "-k", "pullback")
    done = run(*suite, cwd=ROOT, KOBE_CONFIG=str(settings))
    assert done.returncode == 0, done.stdout
    assert re.search(r"[1-9]\d* passed", done.stdout)


def test_the_contract_suite_finds_the_rule_of_the_page(tmp_path: Path) -> None:
    for room in ("shared", "services", "tests", "compose"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    member, rule = python_blocks("A rule")
    values = tmp_path / "shared" / "schemas" / "values.py"
    last = '    CONFIG_PIN = "config_pin"\n'
    assert last in values.read_text()
    values.write_text(values.read_text().replace(last, last + member.split("\n", 1)[1]))
    name = rule.split("\n", 1)[0].removeprefix("# ")
    (tmp_path / name).write_text(rule)
    done = run("-m", "pytest", "-q", "tests/contracts/test_rules.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    named = run("-m", "pytest", "-q", "--co", "tests/contracts/test_rules.py", cwd=tmp_path)
    assert "[weekend]" in named.stdout
