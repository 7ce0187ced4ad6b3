"""Checkpoints that are missing, old, or no checkpoints: all told, each with its own code."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from services.auditor.chain.checkpoints import FILE, FRESH, read_notes
from services.auditor.evidence.verify import verify_folder
from shared.runtime.signing import Signer
from tests.builders import NOON
from tests.unit.auditor.chains import (
    DAY,
    begun,
    chain,
    entry,
    genesis,
    grown,
    judge,
    opened,
    sealed,
)

ROOT = b"\0" * 32


@pytest.fixture
def signer() -> Signer:
    return Signer.generate()


# --- what is absent -------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["gone", "emptied"])
def test_without_checkpoints_nothing_is_proved(tmp_path: Path, signer: Signer, damage: str) -> None:
    chain(tmp_path, signer)
    (tmp_path / FILE).write_bytes(b"")
    if damage == "gone":
        (tmp_path / FILE).unlink()
    verdict = judge(tmp_path, signer)
    assert verdict.exit_code == 12
    assert not verdict.is_proof


@pytest.mark.parametrize("dropped", [0, 1, 2])
def test_a_checkpoint_taken_away_is_missed(tmp_path: Path, signer: Signer, dropped: int) -> None:
    chain(tmp_path, signer, records=18)
    notes = [f"{note.text}\n" for note in read_notes(tmp_path / FILE)]
    del notes[dropped]
    (tmp_path / FILE).write_text("".join(notes))
    verdict = judge(tmp_path, signer)
    assert verdict.exit_code == 12
    assert f"between {dropped * 5} and " in verdict.sentence


def test_a_chain_that_goes_on_without_naming_its_checkpoint_was_rewritten(
    tmp_path: Path, signer: Signer
) -> None:
    journal = begun(tmp_path, signer)
    sealed(journal)
    journal.append([entry(1)], day=DAY)
    journal.close()
    assert (judge(tmp_path, signer).exit_code, judge(tmp_path, signer).index) == (5, 1)


def test_a_record_that_names_a_checkpoint_which_never_was_is_found(
    tmp_path: Path, signer: Signer
) -> None:
    journal = begun(tmp_path, signer)
    sealed(journal)
    wrong = {"type": "Sealed", "at": "now", "size": 1, "root": ROOT.hex()}
    journal.append([wrong], day=DAY)
    journal.close()
    assert judge(tmp_path, signer).exit_code == 5


def test_more_records_than_the_genesis_promises_without_a_checkpoint_are_told(
    tmp_path: Path, signer: Signer
) -> None:
    journal = begun(tmp_path, signer, records=5)
    sealed(journal)
    grown(journal, *(entry(number) for number in range(1, 5)))
    assert judge(tmp_path, signer).exit_code == 0
    journal.append([entry(5)], day=DAY)
    journal.close()
    assert judge(tmp_path, signer).exit_code == 12


def test_a_genesis_that_promises_no_cadence_is_none(tmp_path: Path, signer: Signer) -> None:
    journal = opened(tmp_path, signer)
    bare = {name: each for name, each in genesis(signer).items() if name != "cadence"}
    journal.append([bare], day=DAY)
    sealed(journal)
    journal.close()
    assert judge(tmp_path, signer).exit_code == 7


def test_without_a_pinned_key_the_verdict_says_so_with_a_code_of_its_own(
    tmp_path: Path, signer: Signer
) -> None:
    chain(tmp_path, signer)
    verdict = verify_folder(tmp_path)
    assert verdict.exit_code == 10
    assert verdict.sentence.startswith("key NOT pinned")
    assert not verdict.is_proof


# --- time -----------------------------------------------------------------------------------------


def test_an_old_chain_is_stale_unless_it_says_that_it_stopped(
    tmp_path: Path, signer: Signer
) -> None:
    journal = begun(tmp_path, signer)
    sealed(journal)
    later = NOON + dt.timedelta(minutes=6)
    assert judge(tmp_path, signer, as_of=NOON).exit_code == 0
    assert judge(tmp_path, signer, as_of=later).exit_code == 11
    journal.refresh(at=later - dt.timedelta(minutes=1))
    assert judge(tmp_path, signer, as_of=later).exit_code == 0
    (tmp_path / FRESH).unlink()
    grown(journal, {"type": "Stopped", "at": "now"})
    assert judge(tmp_path, signer, as_of=later).exit_code == 11
    sealed(journal)
    journal.close()
    assert judge(tmp_path, signer, as_of=later).exit_code == 0


def test_a_checkpoint_from_the_future_is_told(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    verdict = judge(tmp_path, signer, as_of=NOON - dt.timedelta(hours=1))
    assert verdict.exit_code == 11
    assert "in the future" in verdict.sentence


def test_a_fresh_signature_over_more_than_is_there_is_a_cut_end(
    tmp_path: Path, signer: Signer
) -> None:
    file = chain(tmp_path, signer, records=18)
    journal = opened(tmp_path, signer)
    journal.refresh(at=NOON)
    journal.close()
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:16]))
    assert judge(tmp_path, signer).exit_code == 4


# --- files of checkpoints -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        b"hello\n\n",
        b"hello\n\n\xe2\x80\x94 a b\n\n",
        b"\n",
        b"\x00\xff",
        b"x" * 10_000,
    ],
)
@pytest.mark.parametrize("where", ["before", "after"])
def test_every_byte_of_the_checkpoints_belongs_to_one(
    tmp_path: Path, signer: Signer, damage: bytes, where: str
) -> None:
    chain(tmp_path, signer)
    notes = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(damage + notes if where == "before" else notes + damage)
    assert judge(tmp_path, signer).exit_code in (6, 9)


def anchor_of(folder: Path, signer: Signer) -> bytes:
    chain(folder, signer)
    return (folder / FILE).read_bytes()


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
def test_an_anchor_may_lack_its_last_newlines(tmp_path: Path, signer: Signer, end: bytes) -> None:
    notes = anchor_of(tmp_path / "chain", signer)
    (tmp_path / "anchor").write_bytes(notes.rstrip(b"\n") + end)
    verdict = judge(tmp_path / "chain", signer, anchors=[tmp_path / "anchor"])
    assert (verdict.exit_code, verdict.checkpoints) == (0, 8)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda notes: b"", "holds no checkpoint"),
        (lambda notes: notes.replace(b"\n", b"\r\n"), "Windows line ends"),
        (lambda notes: notes[:-31], "holds what is no checkpoint"),
        (lambda notes: notes + b"and so on", "holds what is no checkpoint"),
        (lambda notes: b"\xef\xbb\xbf" + notes, "holds what is no checkpoint"),
    ],
)
def test_an_anchor_that_proves_nothing_is_told(
    tmp_path: Path, signer: Signer, damage: Any, sentence: str
) -> None:
    notes = anchor_of(tmp_path / "chain", signer)
    (tmp_path / "anchor").write_bytes(damage(notes))
    verdict = judge(tmp_path / "chain", signer, anchors=[tmp_path / "anchor"])
    assert verdict.exit_code == 6
    assert sentence in verdict.sentence


def test_an_anchor_whose_notes_were_gathered_in_any_order_is_read(
    tmp_path: Path, signer: Signer
) -> None:
    notes = anchor_of(tmp_path / "chain", signer)
    first, second, *rest = (f"{note.text}\n" for note in read_notes(tmp_path / "chain" / FILE))
    assert len(rest) == 2
    (tmp_path / "anchor").write_bytes(notes + f"{second}{first}".encode())
    assert judge(tmp_path / "chain", signer, anchors=[tmp_path / "anchor"]).exit_code == 0
