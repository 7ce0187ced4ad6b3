"""The instance's name: the same after a restart, another for a second process."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.domain.errors import UserError
from shared.runtime.runner.instance import MOST_INSTANCES, instance_id
from shared.schemas.streams import ServiceName

GATE = ServiceName.RISK_GATE


def test_the_same_volume_gives_the_same_name_after_a_restart(tmp_path: Path) -> None:
    with instance_id(tmp_path / "state", GATE) as first:
        pass
    with instance_id(tmp_path / "state", GATE) as second:
        pass
    assert first == second
    assert first.startswith("risk-gate-")


def test_two_volumes_give_two_names(tmp_path: Path) -> None:
    with instance_id(tmp_path / "a", GATE) as first, instance_id(tmp_path / "b", GATE) as second:
        assert first != second


def test_a_second_process_on_the_volume_gets_another_name_and_keeps_it(tmp_path: Path) -> None:
    with instance_id(tmp_path, GATE):
        with instance_id(tmp_path, GATE) as second:
            pass
        with instance_id(tmp_path, GATE) as again:
            assert again == second


def test_too_many_processes_on_one_volume_are_refused(tmp_path: Path) -> None:
    def fill(number: int) -> None:
        if number == MOST_INSTANCES:
            return
        with instance_id(tmp_path, GATE):
            fill(number + 1)

    with pytest.raises(UserError, match="mistake"):
        fill(-1)


def test_a_folder_that_cannot_be_used_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="cannot keep its instance name"),
        instance_id(tmp_path / "file" / "x", GATE),
    ):
        pass
