import os
import stat
from pathlib import Path

import pytest

from shared.runtime import atomic_file
from shared.runtime.atomic_file import remove_file, replacement, write_file


def test_a_file_is_replaced_whole_and_its_folder_is_made(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "state.json"
    write_file(file, "one")
    write_file(file, b"two")
    assert file.read_bytes() == b"two"
    assert [path.name for path in file.parent.iterdir()] == ["state.json"]


def test_the_mode_holds_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_file(tmp_path / "key", "secret", mode=0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_block_that_fails_leaves_the_file_as_it_was_and_no_draft(tmp_path: Path) -> None:
    file = tmp_path / "state"
    write_file(file, "whole")

    def write_half(draft: Path) -> None:
        draft.write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), replacement(file) as draft:
        write_half(draft)
    assert file.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [file]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was synced, in order."""
    names: list[str] = []
    monkeypatch.setattr(atomic_file, "sync", lambda path: names.append(path.name))
    return names


def test_content_is_synced_before_the_folder_that_names_it(
    tmp_path: Path, synced: list[str]
) -> None:
    write_file(tmp_path / "flag", "x")
    assert synced == [f".flag.{os.getpid()}.draft", tmp_path.name]


def test_a_removal_is_synced_and_absence_is_no_error(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "flag").touch()
    remove_file(tmp_path / "flag")
    remove_file(tmp_path / "flag")
    assert synced == [tmp_path.name]


def test_what_can_be_computed_again_need_not_be_synced(tmp_path: Path, synced: list[str]) -> None:
    write_file(tmp_path / "cache", "x", durable=False)
    assert synced == []
