"""What a machine must have for a proof to run, and the count of proofs that ran and could not.

A test asks with `require(...)`. Where the thing is missing the test is skipped and counted; under
CI it fails, because there nothing may be missing by accident. Reference data and Docker are the two
exceptions: a public runner has neither, so they are counted there too.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from enum import Enum
from pathlib import Path

import pytest

REFERENCE_DATA = Path(__file__).resolve().parents[2] / "shared"


class Requirement(Enum):
    """The value is what the summary calls it."""

    REDIS_SERVER = "redis-server itself"
    REDIS_CLI = "redis-cli"
    REFERENCE_DATA = "the reference data in ../shared"
    DOCKER = "a Docker engine"
    COMPOSE = "docker compose"
    CHROMIUM = "Chromium"
    PROMTOOL = "promtool"
    MAKE = "make"
    LINUX = "Linux and its /proc"


FOUND: dict[Requirement, Callable[[], bool]] = {
    Requirement.REDIS_SERVER: lambda: shutil.which("redis-server") is not None,
    Requirement.REDIS_CLI: lambda: shutil.which("redis-cli") is not None,
    Requirement.REFERENCE_DATA: REFERENCE_DATA.is_dir,
    Requirement.CHROMIUM: lambda: shutil.which("chromium") is not None,
    Requirement.PROMTOOL: lambda: shutil.which("promtool") is not None,
    Requirement.MAKE: lambda: shutil.which("make") is not None,
    Requirement.LINUX: Path("/proc/self").is_dir,
}
MAY_LACK_UNDER_CI = {
    Requirement.REFERENCE_DATA,
    Requirement.DOCKER,
    Requirement.COMPOSE,
    Requirement.LINUX,
}
_MARK = "needs "


def require(requirement: Requirement, *, found: bool | None = None) -> None:
    """Go on where the requirement is met; skip the test where it is not, fail it under CI.

    `found` is what the caller has found out itself (does the engine answer?).
    """
    if FOUND[requirement]() if found is None else found:
        return
    strict = os.environ.get("CI") and requirement not in MAY_LACK_UNDER_CI
    (pytest.fail if strict else pytest.skip)(f"{_MARK}{requirement.value}")


class ProofCounter:
    """Counts at the end of a run: how many proofs ran, and how many could not for want of what."""

    def __init__(self) -> None:
        self.passed = 0
        self.missing: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.passed += 1
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2]
            _, mark, requirement = reason.partition(_MARK)
            if mark:
                self.missing[requirement] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("proofs")
        terminalreporter.line(f"{self.passed} ran; {sum(self.missing.values())} could not run here")
        for requirement, count in sorted(self.missing.items()):
            terminalreporter.line(f"  {count} need {requirement}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Reference data that is there must have been used: its proofs fail under CI if skipped."""
        skipped = self.missing[Requirement.REFERENCE_DATA.value]
        if os.environ.get("CI") and skipped and REFERENCE_DATA.is_dir():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
