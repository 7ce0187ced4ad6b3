import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.auditor.journal import Journal, day_files
from services.auditor.verify import verify_folder
from shared.domain.errors import InvariantBroken, UserError

DAY = dt.date(2024, 1, 5)
GENESIS = {"type": "Genesis", "auditor_key": {"key_id": "k", "public": "00" * 32}}


def entry(number: int) -> dict[str, Any]:
    return {"writer": "risk-gate", "seq": number, "stream": "kobe:orders", "entry_id": f"{number}-0", "type": "X"}


def filled(folder: Path, count: int = 5) -> Journal:
    journal = Journal(folder)
    journal.append([GENESIS], day=DAY)
    for number in range(1, count + 1):
        journal.append(
            [entry(number)], day=DAY, streams={"kobe:orders": f"{number}-0"}, writers={"risk-gate": number}
        )
    return journal


def test_what_was_appended_verifies_and_a_restart_goes_on(tmp_path: Path) -> None:
    filled(tmp_path).close()
    again = Journal(tmp_path)
    assert again.height == 6
    assert again.position.streams == {"kobe:orders": "5-0"}
    again.append([entry(6)], day=DAY + dt.timedelta(days=1))
    again.close()
    assert len(day_files(tmp_path)) == 2
    verdict = verify_folder(tmp_path)
    assert (verdict.exit_code, verdict.height) == (0, 7)


def test_a_clock_that_jumps_back_does_not_reorder_the_files(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    journal.append([entry(6)], day=DAY - dt.timedelta(days=3))
    journal.close()
    assert verify_folder(tmp_path).exit_code == 0


def test_a_crash_between_sync_and_position_loses_and_doubles_nothing(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    before = (tmp_path / "position.json").read_bytes()
    journal.append([entry(6)], day=DAY, streams={"kobe:orders": "6-0"}, writers={"risk-gate": 6})
    journal.close()
    (tmp_path / "position.json").write_bytes(before)
    again = Journal(tmp_path)
    assert again.height == 7
    assert again.position.streams == {"kobe:orders": "6-0"}
    assert again.position.writers == {"risk-gate": 6}
    again.close()


def test_a_last_line_torn_at_any_byte_is_cut_and_kept_aside(tmp_path: Path) -> None:
    journal = filled(tmp_path / "whole")
    before = msgspec.json.decode((tmp_path / "whole/position.json").read_bytes())
    journal.append([entry(6)], day=DAY)
    journal.close()
    data = (tmp_path / "whole/20240105.jsonl").read_bytes()
    for cut in range(before["offset"] + 1, len(data), 17):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "20240105.jsonl").write_bytes(data[:cut])
        (folder / "position.json").write_bytes(msgspec.json.encode(before))
        assert verify_folder(folder).exit_code == 9
        again = Journal(folder)
        assert (again.height, again.recovered) == (6, cut - before["offset"])
        again.append([entry(6)], day=DAY)
        again.close()
        assert verify_folder(folder).exit_code == 0
        assert list(folder.glob("*.torn-*"))


def test_a_file_shorter_than_its_position_stops_the_auditor(tmp_path: Path) -> None:
    filled(tmp_path).close()
    file = tmp_path / "20240105.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:3]))
    with pytest.raises(InvariantBroken, match="the chain was cut"):
        Journal(tmp_path)


def test_a_second_auditor_is_refused(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    with pytest.raises(UserError, match="only one"):
        Journal(tmp_path)
    journal.close()
