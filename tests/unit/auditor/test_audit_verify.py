import json
from pathlib import Path
from typing import Any

import pytest

from services.auditor.chain.checkpoints import FILE, append_note, read_notes, sign_checkpoint
from services.auditor.chain.record import chain_id
from services.auditor.chain.sequence_gaps import Gap
from services.auditor.chain.trust import Trust
from services.auditor.evidence.legacy import verify_legacy
from services.auditor.evidence.snapshot import Snapshot
from services.auditor.evidence.verify import verify_folder
from shared.domain.errors import UserError
from shared.runtime.signing import Keyring, Signer
from shared.schemas.envelope import to_fields
from shared.schemas.streams import ServiceName
from tests.builders import approval, envelope
from tests.unit.auditor.chains import (
    AT,
    begun,
    chain,
    entry,
    forged,
    genesis,
    grown,
    judge,
    opened,
    payloads,
    relinked,
    resealed,
    sealed,
)

ROOT = b"\0" * 32


@pytest.fixture
def signer() -> Signer:
    return Signer.generate()


def test_a_whole_chain_verifies(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    verdict = judge(tmp_path, signer)
    facts = (verdict.exit_code, verdict.height, verdict.checkpoints, verdict.sealed)
    assert facts == (0, 20, 4, 20)
    assert verdict.valid


def test_what_no_checkpoint_covers_yet_is_said(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer, records=13)
    verdict = judge(tmp_path, signer)
    assert (verdict.exit_code, verdict.sealed) == (0, 10)
    assert "the last 3 are under no checkpoint" in verdict.sentence


@pytest.mark.parametrize("kept", [19, 12, 1])
def test_a_cut_end_that_a_checkpoint_covered_is_found(
    tmp_path: Path, signer: Signer, kept: int
) -> None:
    file = chain(tmp_path, signer)
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:kept]))
    verdict = judge(tmp_path, signer)
    assert (verdict.exit_code, verdict.index) == (4, kept)


def test_an_emptied_file_is_found(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer).write_bytes(b"")
    assert judge(tmp_path, signer).exit_code == 4


def test_a_missing_day_is_found(tmp_path: Path, signer: Signer) -> None:
    file = chain(tmp_path, signer)
    lines = file.read_bytes().splitlines(keepends=True)
    (tmp_path / "20240108.jsonl").write_bytes(b"".join(lines[10:15]))
    (tmp_path / "20240109.jsonl").write_bytes(b"".join(lines[15:]))
    file.write_bytes(b"".join(lines[:10]))
    assert judge(tmp_path, signer).exit_code == 0
    (tmp_path / "20240108.jsonl").unlink()
    assert (judge(tmp_path, signer).exit_code, judge(tmp_path, signer).index) == (3, 10)


def test_a_torn_last_line_alone_has_a_code_of_its_own(tmp_path: Path, signer: Signer) -> None:
    file = chain(tmp_path, signer, records=13)
    file.write_bytes(file.read_bytes()[:-30])
    verdict = judge(tmp_path, signer)
    assert (verdict.exit_code, verdict.height) == (9, 12)


def test_a_rewrite_with_right_hashes_is_found_by_the_checkpoint(
    tmp_path: Path, signer: Signer
) -> None:
    file = chain(tmp_path, signer)
    records = payloads(file)
    records[7]["type"] = "NeverHappened"
    file.write_bytes(relinked(records))
    verdict = judge(tmp_path, signer)
    assert (verdict.exit_code, verdict.index) == (5, 9)


def rewritten(folder: Path, signer: Signer, *more: dict[str, Any]) -> None:
    """By one who holds the auditor's key: right hashes, roots and signatures, and longer."""
    (file,) = folder.glob("*.jsonl")
    records = payloads(file)
    records[7]["type"] = "NeverHappened"
    data = relinked(forged([*records, *more]))
    file.write_bytes(data)
    resealed(folder, signer, data)


def test_a_rewrite_by_one_who_holds_the_key_is_found_by_an_anchor_kept_elsewhere(
    tmp_path: Path, signer: Signer
) -> None:
    chain(tmp_path / "chain", signer)
    anchor = tmp_path / "anchor.notes"
    anchor.write_bytes((tmp_path / "chain" / FILE).read_bytes())
    rewritten(tmp_path / "chain", signer)
    assert judge(tmp_path / "chain", signer).exit_code == 0
    assert judge(tmp_path / "chain", signer, anchors=[anchor]).exit_code == 5


def test_an_older_copy_put_back_whole_is_found_by_an_anchor(tmp_path: Path, signer: Signer) -> None:
    newer = chain(tmp_path / "newer", signer)
    older = chain(tmp_path / "older", signer, records=12)
    older.write_bytes(b"".join(newer.read_bytes().splitlines(keepends=True)[:12]))
    anchor = tmp_path / "newer" / FILE
    (tmp_path / "older" / FILE).write_text(
        "".join(f"{note.text}\n" for note in read_notes(anchor) if note.size < 12)
    )
    assert judge(tmp_path / "older", signer).exit_code == 0
    assert judge(tmp_path / "older", signer, anchors=[anchor]).exit_code == 4


def test_another_chain_of_the_same_key_does_not_pass_for_this_one(
    tmp_path: Path, signer: Signer
) -> None:
    chain(tmp_path, signer, records=19)
    note = sign_checkpoint(signer, chain_id="0123456789abcdef", size=19, root=ROOT, at=AT)
    append_note(tmp_path / FILE, note.text)
    verdict = judge(tmp_path, signer)
    assert verdict.exit_code == 5
    assert "another chain" in verdict.sentence


def test_a_chain_begun_with_another_key_is_refused(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    assert judge(tmp_path, Signer.generate()).exit_code == 6


@pytest.mark.parametrize("size", [20, 25])
def test_a_forged_checkpoint_is_a_bad_signature_whatever_it_claims(
    tmp_path: Path, signer: Signer, size: int
) -> None:
    name = chain_id(payloads(chain(tmp_path, signer, records=19))[0])
    note = sign_checkpoint(Signer.generate(), chain_id=name, size=size, root=ROOT, at=AT)
    append_note(tmp_path / FILE, note.text)
    assert judge(tmp_path, signer).exit_code == 6


def test_a_checkpoint_with_another_size_under_an_old_signature_is_refused(
    tmp_path: Path, signer: Signer
) -> None:
    chain(tmp_path, signer)
    text = (tmp_path / FILE).read_text().replace("\n20\n", "\n19\n")
    (tmp_path / FILE).write_text(text)
    assert judge(tmp_path, signer).exit_code == 6


@pytest.mark.parametrize("signature", [0, 1])
def test_a_checkpoint_that_lacks_one_of_its_two_signatures_is_refused(
    tmp_path: Path, signer: Signer, signature: int
) -> None:
    chain(tmp_path, signer)
    (*_, last) = read_notes(tmp_path / FILE)
    line = last.note.signatures[signature].line()
    (tmp_path / FILE).write_text((tmp_path / FILE).read_text().replace(line, ""))
    assert judge(tmp_path, signer).exit_code == 6


# --- orders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["signed", "unsigned", "of another key", "changed"])
def test_an_order_in_the_chain_must_be_signed_by_the_gate(
    tmp_path: Path, signer: Signer, kind: str
) -> None:
    gate, other = Signer.generate(), Signer.generate()
    keyring = Keyring.of([gate.public_key(ServiceName.RISK_GATE.value)])
    made = envelope(approval())
    if kind != "unsigned":
        made = (other if kind == "of another key" else gate).sign(made)
    fields = to_fields(made)
    if kind == "changed":
        fields["data"] = fields["data"].replace('"qty":3', '"qty":4')
    journal = begun(tmp_path, signer)
    sealed(journal)
    grown(journal, entry(1, type="OrderApproved", message=fields))
    sealed(journal)
    journal.close()
    verdict = verify_folder(tmp_path, trust=Trust(signer.public, keyring=keyring))
    if kind == "signed":
        assert (verdict.exit_code, verdict.signatures) == (0, 1)
    else:
        assert (verdict.exit_code, verdict.index) == (6, 2)
        assert "OrderApproved at record 2 is forged" in verdict.sentence
        assert verdict.is_proof


# --- numbers --------------------------------------------------------------------------------------


def test_a_missing_number_of_a_writer_is_found(tmp_path: Path, signer: Signer) -> None:
    journal = begun(tmp_path, signer)
    sealed(journal)
    grown(journal, entry(1), entry(3))
    journal.close()
    verdict = judge(tmp_path, signer)
    assert verdict.exit_code == 8
    assert "of risk-gate's numbers, 2 are not in the chain" in verdict.sentence


def test_a_gap_the_auditor_noted_is_told_at_its_place_unless_something_is_worse(
    tmp_path: Path, signer: Signer
) -> None:
    journal = begun(tmp_path, signer)
    sealed(journal)
    noted = Gap("risk-gate", "missing", 2, 4).payload("now")
    grown(journal, entry(1), entry(5), noted, entry(6))
    journal.close()
    verdict = judge(tmp_path, signer)
    assert (verdict.exit_code, verdict.index, verdict.height) == (8, 4, 6)
    file = tmp_path / "20240105.jsonl"
    file.write_bytes(file.read_bytes()[:-20] + b"0" * 19 + b"\n")
    assert judge(tmp_path, signer).exit_code == 7


def test_a_record_told_twice_is_found(tmp_path: Path, signer: Signer) -> None:
    journal = begun(tmp_path, signer)
    sealed(journal)
    grown(journal, entry(1), entry(2), entry(2))
    journal.close()
    verdict = judge(tmp_path, signer)
    assert (verdict.exit_code, verdict.index) == (8, 4)


def test_a_chain_without_its_genesis_is_found(tmp_path: Path, signer: Signer) -> None:
    (tmp_path / "20240105.jsonl").write_bytes(relinked([entry(1), entry(2)]))
    assert judge(tmp_path, signer).exit_code == 4


@pytest.mark.parametrize(
    "record",
    [
        {"seq": 1},
        {"seq": "1", "writer": "x"},
        {"stream": "s"},
        {"type": "WriterGap"},
        {"seq": 1, "writer": []},
    ],
)
def test_a_record_without_its_parts_is_not_canonical(
    tmp_path: Path, signer: Signer, record: dict[str, object]
) -> None:
    (tmp_path / "20240105.jsonl").write_bytes(relinked([genesis(signer), record]))
    assert judge(tmp_path, signer).exit_code == 7


def test_a_folder_without_a_chain_is_one_sentence(tmp_path: Path, signer: Signer) -> None:
    with pytest.raises(UserError, match="no audit chain"):
        judge(tmp_path, signer)
    chain(tmp_path, signer)
    with pytest.raises(UserError, match="no anchor"):
        judge(tmp_path, signer, anchors=[tmp_path / "nowhere"])


def test_a_chain_that_is_being_written_verifies_all_the_while(
    tmp_path: Path, signer: Signer
) -> None:
    chain(tmp_path, signer)
    snapshot = Snapshot(tmp_path)
    journal = opened(tmp_path, signer)
    grown(journal, entry(99))
    sealed(journal)
    journal.close()
    assert [note.size for note in snapshot.own_notes()] == [5, 10, 15, 20]
    assert len(list(snapshot.lines())) == 20
    assert not snapshot.torn


def test_the_predecessors_format_is_checked_too(tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl"
    first = "c92111968844deac40e032c0daa9e4331275e2dc9303c2920b12db1bdc088ff6"
    record = {"payload": {"data": "foo", "event": "test1"}, "prev_hash": None, "this_hash": first}
    file.write_text(json.dumps(record) + "\n")
    assert (verify_legacy(file).exit_code, verify_legacy(file).height) == (0, 1)
    file.write_text(json.dumps({**record, "payload": {}}) + "\n")
    assert (verify_legacy(file).exit_code, verify_legacy(file).index) == (3, 0)
    with pytest.raises(UserError, match="cannot be read"):
        verify_legacy(tmp_path / "nowhere")
