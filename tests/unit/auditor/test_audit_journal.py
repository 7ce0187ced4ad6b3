import datetime as dt
import errno
import os
import shutil
from pathlib import Path

import pytest

from services.auditor.chain import recovery
from services.auditor.chain.checkpoints import FILE, read_notes
from services.auditor.chain.day_files import day_files
from services.auditor.chain.journal import ChainJournal
from services.auditor.chain.memory import Remembered
from services.auditor.chain.trust import Trust
from services.auditor.evidence.findings import Verdict
from services.auditor.evidence.verify import verify_folder
from shared.domain.errors import InvariantBroken, TransientError, UserError
from shared.runtime.signing import Signer
from tests.unit.auditor.chains import (
    DAY,
    FIRST,
    begun,
    chain,
    entry,
    forged,
    genesis,
    grown,
    memory_of,
    opened,
    payloads,
    relinked,
    resealed,
    sealed,
)


@pytest.fixture
def signer() -> Signer:
    return Signer.generate()


def filled(folder: Path, signer: Signer, count: int = 5) -> ChainJournal:
    """Genesis and so many records, none sealed yet but the genesis."""
    journal = begun(folder, signer)
    sealed(journal)
    for number in range(1, count + 1):
        grown(journal, entry(number))
    return journal


def verdict_on(folder: Path, signer: Signer) -> Verdict:
    return verify_folder(folder, trust=Trust(signer.public))


HEIGHT = 7  # genesis, the record that names its checkpoint, five entries


def test_what_was_appended_verifies_and_a_restart_goes_on(tmp_path: Path, signer: Signer) -> None:
    filled(tmp_path, signer).close()
    again = opened(tmp_path, signer)
    assert again.height == HEIGHT
    assert again.genesis == genesis(signer)
    assert again.state.streams == {"kobe:orders": "5-0"}
    again.append([entry(6)], day=DAY + dt.timedelta(days=1))
    again.close()
    assert len(day_files(tmp_path)) == 2
    verdict = verdict_on(tmp_path, signer)
    assert (verdict.exit_code, verdict.height) == (0, HEIGHT + 1)


def test_a_clock_that_jumps_back_does_not_reorder_the_files(tmp_path: Path, signer: Signer) -> None:
    journal = filled(tmp_path, signer)
    journal.append([entry(6)], day=DAY - dt.timedelta(days=3))
    journal.close()
    assert verdict_on(tmp_path, signer).exit_code == 0


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("memory", ["at the end", "behind", "lost"])
def test_the_chain_is_counted_the_same_from_the_beginning_or_from_what_is_remembered(
    tmp_path: Path, signer: Signer, memory: str, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = filled(tmp_path, signer)
    sealed(journal)
    if memory == "behind":
        grown(journal, entry(6), entry(7))
    state = journal.state
    journal.close()
    if memory == "lost":
        memory_of(tmp_path).unlink()
    if not whole:
        monkeypatch.setattr(recovery, "FULL_COUNT_BYTES", 0)
    again = opened(tmp_path, signer)
    assert (again.height, again.state.head) == (state.height, state.head)
    assert again.state.tree.root() == state.tree.root()
    assert again.state.streams == state.streams
    assert again.state.numbers.to_lists() == state.numbers.to_lists()
    again.close()


@pytest.mark.parametrize("damage", [b"", b'{"position":{"height":', b"{}x"])
def test_a_memory_that_is_not_whole_stops_the_auditor(
    tmp_path: Path, signer: Signer, damage: bytes
) -> None:
    filled(tmp_path, signer).close()
    memory_of(tmp_path).write_bytes(damage)
    with pytest.raises(InvariantBroken, match="is not what the auditor wrote"):
        opened(tmp_path, signer)


def test_a_last_line_torn_at_any_byte_is_cut_and_kept_aside(tmp_path: Path, signer: Signer) -> None:
    journal = filled(tmp_path / "whole", signer, count=2)
    start = (tmp_path / "whole" / FIRST).stat().st_size
    grown(journal, entry(3))
    journal.close()
    data = (tmp_path / "whole" / FIRST).read_bytes()
    for cut in range(start + 1, len(data)):
        folder = tmp_path / str(cut)
        shutil.copytree(tmp_path / "whole", folder)
        shutil.copytree(memory_of(tmp_path / "whole").parent, memory_of(folder).parent)
        (folder / FIRST).write_bytes(data[:cut])
        assert verdict_on(folder, signer).exit_code == 9
        again = ChainJournal(folder, signer, memory=memory_of(folder))
        torn = again.mend()
        assert torn is not None
        assert (again.height, torn.size) == (4, cut - start)
        assert (folder / torn.kept_as).read_bytes() == data[start:cut]
        again.append([torn.payload("now"), entry(3)], day=DAY)
        again.close()
        verdict = verdict_on(folder, signer)
        assert (verdict.exit_code, verdict.height) == (0, 6)


@pytest.mark.parametrize(
    "tail", [b"\x00" * 4096, b'{"payload":{},"prev_hash":null,"this_hash":"x"}\n{}\n']
)
def test_what_a_power_loss_left_after_the_last_sync_is_cut_too(
    tmp_path: Path, signer: Signer, tail: bytes
) -> None:
    filled(tmp_path, signer).close()
    with (tmp_path / FIRST).open("ab") as file:
        file.write(tail)
    again = ChainJournal(tmp_path, signer, memory=memory_of(tmp_path))
    torn = again.mend()
    assert torn is not None
    assert (again.height, torn.size) == (HEIGHT, len(tail))
    again.close()


def test_a_torn_end_is_not_written_after_before_it_is_mended(
    tmp_path: Path, signer: Signer
) -> None:
    filled(tmp_path, signer).close()
    with (tmp_path / FIRST).open("ab") as file:
        file.write(b"{")
    journal = ChainJournal(tmp_path, signer, memory=memory_of(tmp_path))
    with pytest.raises(InvariantBroken, match="must be mended first"):
        journal.append([entry(6)], day=DAY)
    assert (tmp_path / FIRST).read_bytes().endswith(b"{")
    journal.close()


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("lost", [1, 3, 5])
def test_a_file_shorter_than_is_remembered_stops_the_auditor(
    tmp_path: Path, signer: Signer, lost: int, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = filled(tmp_path, signer)
    sealed(journal)
    journal.close()
    (tmp_path / FILE).write_bytes(b"")
    lines = (tmp_path / FIRST).read_bytes().splitlines(keepends=True)
    (tmp_path / FIRST).write_bytes(shortened := b"".join(lines[:-lost]))
    if not whole:
        monkeypatch.setattr(recovery, "FULL_COUNT_BYTES", 0)
    with pytest.raises(InvariantBroken, match="the chain was cut"):
        opened(tmp_path, signer)
    assert (tmp_path / FIRST).read_bytes() == shortened


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize("kept", [0, 1, 7, 9])
def test_a_cut_of_what_a_checkpoint_covered_stops_the_auditor(
    tmp_path: Path, signer: Signer, kept: int, remembers: bool
) -> None:
    chain(tmp_path, signer, records=10, every=10)
    lines = (tmp_path / FIRST).read_bytes().splitlines(keepends=True)
    (tmp_path / FIRST).write_bytes(b"".join(lines[:kept]))
    if not remembers:
        memory_of(tmp_path).unlink()
    with pytest.raises(InvariantBroken, match="the chain was cut"):
        opened(tmp_path, signer)


@pytest.mark.parametrize("notes", ["gone", "emptied", "cut"])
def test_checkpoints_that_are_gone_stop_the_auditor_on_a_rewritten_chain(
    tmp_path: Path, signer: Signer, notes: str
) -> None:
    file = chain(tmp_path, signer)
    records = payloads(file)
    records[7]["type"] = "NeverHappened"
    file.write_bytes(relinked(forged([*records, entry(99)])))
    text = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(text[: text.index(b"\n\n", 300) + 2] if notes == "cut" else b"")
    if notes == "gone":
        (tmp_path / FILE).unlink()
    with pytest.raises(InvariantBroken, match="the chain was rewritten"):
        opened(tmp_path, signer)


def test_a_changed_record_stops_the_auditor_wherever_it_is(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer, records=10, every=10)
    data = (tmp_path / FIRST).read_bytes()
    for place in (200, 900, len(data) - 10):
        (tmp_path / FIRST).write_bytes(data[:place] + b"0000000" + data[place + 7 :])
        with pytest.raises(InvariantBroken):
            opened(tmp_path, signer)


def test_a_long_chain_is_counted_from_what_is_remembered_and_its_last_record_looked_at(
    tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(tmp_path, signer, records=10, every=10)
    data = (tmp_path / FIRST).read_bytes()
    (tmp_path / FIRST).write_bytes(data[:-10] + b"0000000" + data[-3:])
    monkeypatch.setattr(recovery, "FULL_COUNT_BYTES", 0)
    with pytest.raises(InvariantBroken, match="not the one that was written"):
        opened(tmp_path, signer)


@pytest.mark.parametrize("whole", [True, False])
def test_what_a_witness_remembers_must_be_on_disk(
    tmp_path: Path, signer: Signer, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(tmp_path, signer)
    if not whole:
        monkeypatch.setattr(recovery, "FULL_COUNT_BYTES", 0)
    roots = {note.size: note.root for note in read_notes(tmp_path / FILE)}
    for size, root in roots.items():
        opened(tmp_path, signer, remembered=[Remembered("it", size, root=root)]).close()
        with pytest.raises(InvariantBroken, match="the chain was rewritten"):
            opened(tmp_path, signer, remembered=[Remembered("it", size, root=b"\0" * 32)])
    with pytest.raises(InvariantBroken, match="the chain was cut"):
        opened(tmp_path, signer, remembered=[Remembered("it", 21, root=b"\0" * 32)])


def test_checkpoints_of_another_key_stop_the_auditor(tmp_path: Path, signer: Signer) -> None:
    file = chain(tmp_path, signer)
    resealed(tmp_path, Signer.generate(), file.read_bytes())
    with pytest.raises(InvariantBroken, match="is not signed by this auditor"):
        opened(tmp_path, signer)


def test_a_break_before_the_last_file_is_no_torn_end(tmp_path: Path, signer: Signer) -> None:
    journal = filled(tmp_path, signer)
    journal.append([entry(6)], day=DAY + dt.timedelta(days=1))
    journal.close()
    (tmp_path / FIRST).write_bytes((tmp_path / FIRST).read_bytes()[:-5])
    with pytest.raises(InvariantBroken, match="breaks off"):
        opened(tmp_path, signer)


def test_a_second_auditor_is_refused(tmp_path: Path, signer: Signer) -> None:
    journal = filled(tmp_path, signer)
    with pytest.raises(UserError, match="only one"):
        opened(tmp_path, signer)
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
    assert verdict_on(tmp_path, signer).height == HEIGHT
    monkeypatch.setattr(os, "write", write)
    journal.append([entry(6), entry(7)], day=DAY)
    journal.close()
    assert (verdict_on(tmp_path, signer).exit_code, verdict_on(tmp_path, signer).height) == (
        0,
        HEIGHT + 2,
    )


def test_a_sync_that_fails_stops_the_auditor_for_nobody_knows_what_the_disk_holds(
    tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = filled(tmp_path, signer)

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(InvariantBroken, match="could not be synced"):
        journal.append([entry(6)], day=DAY)
    assert journal.height == HEIGHT
    monkeypatch.undo()
    journal.close()
    opened(tmp_path, signer).close()
    assert verdict_on(tmp_path, signer).exit_code == 0


def test_numbers_ahead_of_their_turn_are_remembered_over_a_restart(
    tmp_path: Path, signer: Signer
) -> None:
    journal = filled(tmp_path, signer)
    journal.append([entry(7)], day=DAY)
    sealed(journal)
    journal.close()
    again = opened(tmp_path, signer)
    grown(again, entry(6))
    assert again.state.numbers.missing_gaps() == []
    again.close()
    assert verdict_on(tmp_path, signer).exit_code == 0
    assert (tmp_path / FILE).exists()
