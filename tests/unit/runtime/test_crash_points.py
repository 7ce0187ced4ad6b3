"""A crash point ends the process at its Nth passing, and only where a test has armed it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from shared.domain.errors import UserError
from shared.runtime.crash_points import CrashPoint, arm, disarm, reach


@pytest.fixture(autouse=True)
def unarmed() -> Iterator[None]:
    yield
    disarm()


def test_the_nth_passing_of_the_armed_point_acts_once() -> None:
    acted: list[str] = []
    arm("committed:2", lambda: acted.append("crash"))
    for point in (CrashPoint.COMMITTED, CrashPoint.ACKED, CrashPoint.COMMITTED):
        reach(point)
    assert acted == ["crash"]
    reach(CrashPoint.COMMITTED)
    assert acted == ["crash"]


@pytest.mark.parametrize("text", ["nowhere", "read:0", "read:x", "read:-1", ""])
def test_a_point_that_is_none_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(UserError, match="post_answered"):
        arm(text)


def test_the_process_ends_as_by_a_power_cut() -> None:
    script = "from shared.runtime.crash_points import *; arm('read'); reach(CrashPoint.READ)"
    done = subprocess.run([sys.executable, "-c", script], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
