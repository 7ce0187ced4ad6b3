import datetime as dt
import errno
import os
from pathlib import Path

import pytest

from services.auditor.chain.checkpoints import FILE
from services.auditor.chain.day_files import day_files
from services.auditor.chain.journal import ChainJournal
from services.auditor.evidence.verify import verify_folder
from shared.domain.errors import InvariantBroken, TransientError, UserError
from shared.runtime.signing import Signer
from tests.unit.auditor.chains import DAY, FIRST, begun, chain, entry, genesis, sealed


@pytest.fixture
def signer() -> Signer:
    return Signer.generate()


def filled(folder: Path, signer: Signer, count: int = 5) -> ChainJournal:
    journal = begun(folder, signer)
    for number in range(1, count + 1):
        journal.append([entry(number)], day=DAY)
    return journal


def test_what_was_appended_verifies_and_a_restart_goes_on(tmp_path: Path, signer: Signer) -> None:
    filled(tmp_path, signer).close()
    again = ChainJournal(tmp_path)
    assert again.height == 6
    assert again.genesis == genesis(signer)
    assert again.state.streams == {"kobe:orders": "5-0"}
    again.append([entry(6)], day=DAY + dt.timedelta(days=1))
    again.close()
    assert len(day_files(tmp_path)) == 2
    verdict = verify_folder(tmp_path)
    assert (verdict.exit_code, verdict.height) == (0, 7)


def test_a_clock_that_jumps_back_does_not_reorder_the_files(tmp_path: Path, signer: Signer) -> None:
    journal = filled(tmp_path, signer)
    journal.append([entry(6)], day=DAY - dt.timedelta(days=3))
    journal.close()
    assert verify_folder(tmp_path).exit_code == 0


@pytest.mark.parametrize("position", ["as it was", "lost", "torn"])
def test_the_files_are_the_truth_whatever_became_of_the_position(
    tmp_path: Path, signer: Signer, position: str
) -> None:
    journal = filled(tmp_path, signer)
    journal.keep_position()
    if position == "as it was":
        journal.append([entry(6), entry(7)], day=DAY)
    state = journal.state
    journal.close()
    if position == "lost":
        (tmp_path / "position.json").unlink()
    elif position == "torn":
        (tmp_path / "position.json").write_bytes((tmp_path / "position.json").read_bytes()[:40])
    again = ChainJournal(tmp_path)
    assert (again.height, again.state.head) == (state.height, state.head)
    assert again.state.tree.root() == state.tree.root()
    assert again.state.streams == state.streams
    assert again.state.numbers.to_lists() == state.numbers.to_lists()
    again.close()


def test_a_last_line_torn_at_any_byte_is_cut_and_kept_aside(tmp_path: Path, signer: Signer) -> None:
    journal = filled(tmp_path / "whole", signer, count=2)
    journal.keep_position()
    before = (tmp_path / "whole/position.json").read_bytes()
    start = (tmp_path / "whole" / FIRST).stat().st_size
    journal.append([entry(3)], day=DAY)
    journal.close()
    data = (tmp_path / "whole" / FIRST).read_bytes()
    for cut in range(start + 1, len(data)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / FIRST).write_bytes(data[:cut])
        (folder / "position.json").write_bytes(before)
        assert verify_folder(folder).exit_code == 9
        again = ChainJournal(folder)
        assert again.height == 3
        assert again.torn_tail is not None
        assert again.torn_tail.size == cut - start
        assert (folder / again.torn_tail.kept_as).read_bytes() == data[start:cut]
        again.append([again.torn_tail.payload("now"), entry(3)], day=DAY)
        again.close()
        assert (verify_folder(folder).exit_code, verify_folder(folder).height) == (0, 5)


@pytest.mark.parametrize(
    "tail", [b"\x00" * 4096, b'{"payload":{},"prev_hash":null,"this_hash":"x"}\n{}\n']
)
def test_what_a_power_loss_left_after_the_last_sync_is_cut_too(
    tmp_path: Path, signer: Signer, tail: bytes
) -> None:
    filled(tmp_path, signer).close()
    with (tmp_path / FIRST).open("ab") as file:
        file.write(tail)
    again = ChainJournal(tmp_path)
    assert again.torn_tail is not None
    assert (again.height, again.torn_tail.size) == (6, len(tail))
    again.close()


@pytest.mark.parametrize("lost", [1, 3, 5])
def test_a_file_shorter_than_its_position_stops_the_auditor(
    tmp_path: Path, signer: Signer, lost: int
) -> None:
    journal = filled(tmp_path, signer)
    journal.keep_position()
    journal.close()
    whole = (tmp_path / FIRST).read_bytes()
    (tmp_path / FIRST).write_bytes(b"".join(whole.splitlines(keepends=True)[:-lost]))
    shortened = (tmp_path / FIRST).read_bytes()
    with pytest.raises(InvariantBroken, match="the chain was cut"):
        ChainJournal(tmp_path)
    assert (tmp_path / FIRST).read_bytes() == shortened


@pytest.mark.parametrize("position", [True, False])
@pytest.mark.parametrize("kept", [0, 1, 7, 9])
def test_a_cut_of_what_a_checkpoint_covered_stops_the_auditor(
    tmp_path: Path, signer: Signer, kept: int, position: bool
) -> None:
    chain(tmp_path, signer, records=10, every=10)
    (tmp_path / FIRST).write_bytes(
        b"".join((tmp_path / FIRST).read_bytes().splitlines(keepends=True)[:kept])
    )
    if not position:
        (tmp_path / "position.json").unlink()
    with pytest.raises(InvariantBroken, match="the chain was cut"):
        ChainJournal(tmp_path)


def test_a_changed_last_record_stops_the_auditor(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer, records=10, every=10)
    data = (tmp_path / FIRST).read_bytes()
    (tmp_path / FIRST).write_bytes(data[:-10] + b"0000000" + data[-3:])
    with pytest.raises(InvariantBroken, match="not the one that was written"):
        ChainJournal(tmp_path)


def test_a_break_before_the_last_file_is_no_torn_end(tmp_path: Path, signer: Signer) -> None:
    journal = filled(tmp_path, signer)
    journal.append([entry(6)], day=DAY + dt.timedelta(days=1))
    journal.close()
    (tmp_path / FIRST).write_bytes((tmp_path / FIRST).read_bytes()[:-5])
    with pytest.raises(InvariantBroken, match="breaks off"):
        ChainJournal(tmp_path)


def test_a_second_auditor_is_refused(tmp_path: Path, signer: Signer) -> None:
    journal = filled(tmp_path, signer)
    with pytest.raises(UserError, match="only one"):
        ChainJournal(tmp_path)
    journal.close()


def test_a_full_disk_leaves_the_chain_whole_and_takes_the_batch_later(
    tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = filled(tmp_path, signer)
    write = os.write
    room = [100]

    def almost_full(descriptor: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, bytes(data)[: room.pop()])

    monkeypatch.setattr(os, "write", almost_full)
    with pytest.raises(TransientError, match="No space left"):
        journal.append([entry(6), entry(7)], day=DAY)
    assert verify_folder(tmp_path).height == 6
    monkeypatch.setattr(os, "write", write)
    journal.append([entry(6), entry(7)], day=DAY)
    journal.close()
    assert (verify_folder(tmp_path).exit_code, verify_folder(tmp_path).height) == (0, 8)


def test_a_sync_that_fails_stops_the_auditor_for_nobody_knows_what_the_disk_holds(
    tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = filled(tmp_path, signer)

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(InvariantBroken, match="could not be synced"):
        journal.append([entry(6)], day=DAY)
    assert journal.height == 6
    monkeypatch.undo()
    journal.close()
    ChainJournal(tmp_path).close()
    assert verify_folder(tmp_path).exit_code == 0


def test_numbers_ahead_of_their_turn_are_remembered_over_a_restart(
    tmp_path: Path, signer: Signer
) -> None:
    journal = filled(tmp_path, signer)
    journal.append([entry(7)], day=DAY)
    sealed(journal, signer)
    journal.close()
    again = ChainJournal(tmp_path)
    again.append([entry(6)], day=DAY)
    assert again.state.numbers.missing_gaps() == []
    again.close()
    assert verify_folder(tmp_path).exit_code == 0
    assert (tmp_path / FILE).exists()
