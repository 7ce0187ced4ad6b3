import json
from pathlib import Path

import pytest

from services.auditor.chain.checkpoints import FILE, append_note, read_notes, write_note
from services.auditor.chain.journal import ChainJournal
from services.auditor.chain.merkle import leaf_hash, root_of
from services.auditor.chain.record import chain_id
from services.auditor.chain.sequence_gaps import Gap
from services.auditor.evidence.verify import verify_folder, verify_legacy
from shared.domain.errors import UserError
from shared.runtime.signing import Signer
from tests.unit.auditor.chains import DAY, begun, chain, entry, genesis, payloads, relinked


@pytest.fixture
def signer() -> Signer:
    return Signer.generate()


def test_a_whole_chain_verifies(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    verdict = verify_folder(tmp_path, public_key=signer.public)
    assert (verdict.exit_code, verdict.height, verdict.checkpoints, verdict.sealed) == (
        0,
        20,
        4,
        20,
    )
    assert verdict.valid


def test_what_no_checkpoint_covers_yet_is_said(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer, records=13)
    verdict = verify_folder(tmp_path)
    assert (verdict.exit_code, verdict.sealed) == (0, 10)
    assert "the last 3 are under no checkpoint" in verdict.sentence


@pytest.mark.parametrize("kept", [19, 12, 1])
def test_a_cut_end_that_a_checkpoint_covered_is_found(
    tmp_path: Path, signer: Signer, kept: int
) -> None:
    file = chain(tmp_path, signer)
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:kept]))
    verdict = verify_folder(tmp_path)
    assert (verdict.exit_code, verdict.index) == (4, kept)


def test_an_emptied_file_is_found(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer).write_bytes(b"")
    assert verify_folder(tmp_path).exit_code == 4


def test_a_missing_day_is_found(tmp_path: Path, signer: Signer) -> None:
    file = chain(tmp_path, signer)
    lines = file.read_bytes().splitlines(keepends=True)
    (tmp_path / "20240108.jsonl").write_bytes(b"".join(lines[10:15]))
    (tmp_path / "20240109.jsonl").write_bytes(b"".join(lines[15:]))
    file.write_bytes(b"".join(lines[:10]))
    assert verify_folder(tmp_path).exit_code == 0
    (tmp_path / "20240108.jsonl").unlink()
    assert (verify_folder(tmp_path).exit_code, verify_folder(tmp_path).index) == (3, 10)


def test_a_torn_last_line_alone_has_a_code_of_its_own(tmp_path: Path, signer: Signer) -> None:
    file = chain(tmp_path, signer, records=13)
    file.write_bytes(file.read_bytes()[:-30])
    verdict = verify_folder(tmp_path)
    assert (verdict.exit_code, verdict.height) == (9, 12)


def test_a_rewrite_with_right_hashes_is_found_by_the_checkpoint(
    tmp_path: Path, signer: Signer
) -> None:
    file = chain(tmp_path, signer)
    records = payloads(file)
    records[7]["type"] = "NeverHappened"
    file.write_bytes(relinked(records))
    verdict = verify_folder(tmp_path)
    assert (verdict.exit_code, verdict.index) == (5, 9)


def test_a_rewrite_by_one_who_holds_the_key_is_found_by_an_anchor_kept_elsewhere(
    tmp_path: Path, signer: Signer
) -> None:
    file = chain(tmp_path / "chain", signer)
    (tmp_path / "anchor.notes").write_bytes((tmp_path / "chain" / FILE).read_bytes())
    records = payloads(file)
    records[7]["type"] = "NeverHappened"
    data = relinked(records)
    file.write_bytes(data)
    root = root_of([leaf_hash(line) for line in data.splitlines()])
    (tmp_path / "chain" / FILE).unlink()
    append_note(
        tmp_path / "chain" / FILE,
        write_note(signer, chain_id=chain_id(records[0]), size=20, root=root),
    )
    assert verify_folder(tmp_path / "chain", public_key=signer.public).exit_code == 0
    verdict = verify_folder(
        tmp_path / "chain", public_key=signer.public, anchors=[tmp_path / "anchor.notes"]
    )
    assert verdict.exit_code == 5


def test_an_older_copy_put_back_whole_is_found_by_an_anchor(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path / "newer", signer)
    anchor = tmp_path / "newer" / FILE
    file = chain(tmp_path / "older", signer, records=12)
    file.write_bytes(
        b"".join((tmp_path / "newer" / file.name).read_bytes().splitlines(keepends=True)[:12])
    )
    (tmp_path / "older" / FILE).write_text(
        "".join(f"{note.text}\n" for note in read_notes(anchor) if note.size < 12)
    )
    assert verify_folder(tmp_path / "older").exit_code == 0
    assert verify_folder(tmp_path / "older", anchors=[anchor]).exit_code == 4


def test_another_chain_of_the_same_key_does_not_pass_for_this_one(
    tmp_path: Path, signer: Signer
) -> None:
    chain(tmp_path, signer)
    append_note(
        tmp_path / FILE, write_note(signer, chain_id="0123456789abcdef", size=20, root=b"\0" * 32)
    )
    verdict = verify_folder(tmp_path)
    assert verdict.exit_code == 5
    assert "another chain" in verdict.sentence


def test_checkpoints_of_another_key_are_refused(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    assert verify_folder(tmp_path, public_key=Signer.generate().public).exit_code == 6


@pytest.mark.parametrize("size", [20, 25])
def test_a_forged_checkpoint_is_a_bad_signature_whatever_it_claims(
    tmp_path: Path, signer: Signer, size: int
) -> None:
    file = chain(tmp_path, signer)
    forged = write_note(
        Signer.generate(), chain_id=chain_id(payloads(file)[0]), size=size, root=b"\0" * 32
    )
    append_note(tmp_path / FILE, forged)
    assert verify_folder(tmp_path).exit_code == 6


def test_a_checkpoint_with_another_size_under_an_old_signature_is_refused(
    tmp_path: Path, signer: Signer
) -> None:
    chain(tmp_path, signer)
    text = (tmp_path / FILE).read_text().replace("\n20\n", "\n19\n")
    (tmp_path / FILE).write_text(text)
    assert verify_folder(tmp_path).exit_code == 6


def test_checkpoints_that_are_none_are_refused(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    (tmp_path / FILE).write_text("hello\n\n")
    assert verify_folder(tmp_path).exit_code == 6


def test_a_missing_number_of_a_writer_is_found(tmp_path: Path, signer: Signer) -> None:
    journal = begun(tmp_path, signer)
    journal.append([entry(1), entry(3)], day=DAY)
    journal.close()
    verdict = verify_folder(tmp_path)
    assert verdict.exit_code == 8
    assert "of risk-gate's numbers, 2 are not in the chain" in verdict.sentence


def test_a_gap_the_auditor_noted_is_told_at_its_place_unless_something_is_worse(
    tmp_path: Path, signer: Signer
) -> None:
    journal = begun(tmp_path, signer)
    noted = Gap("risk-gate", "missing", 2, 4).payload("now")
    journal.append([entry(1), entry(5), noted, entry(6)], day=DAY)
    journal.close()
    verdict = verify_folder(tmp_path)
    assert (verdict.exit_code, verdict.index, verdict.height) == (8, 3, 5)
    file = tmp_path / "20240105.jsonl"
    file.write_bytes(file.read_bytes()[:-20] + b"0" * 19 + b"\n")
    assert verify_folder(tmp_path).exit_code == 7


def test_a_record_told_twice_is_found(tmp_path: Path, signer: Signer) -> None:
    journal = begun(tmp_path, signer)
    journal.append([entry(1), entry(2), entry(2)], day=DAY)
    journal.close()
    verdict = verify_folder(tmp_path)
    assert (verdict.exit_code, verdict.index) == (8, 3)


def test_a_chain_without_its_genesis_is_found(tmp_path: Path, signer: Signer) -> None:
    (tmp_path / "20240105.jsonl").write_bytes(relinked([entry(1), entry(2)]))
    assert verify_folder(tmp_path).exit_code == 4


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
    assert verify_folder(tmp_path).exit_code == 7


def test_a_folder_without_a_chain_is_one_sentence(tmp_path: Path, signer: Signer) -> None:
    with pytest.raises(UserError, match="no audit chain"):
        verify_folder(tmp_path)
    chain(tmp_path, signer)
    with pytest.raises(UserError, match="no anchor"):
        verify_folder(tmp_path, anchors=[tmp_path / "nowhere"])


def test_a_chain_that_is_being_written_verifies_all_the_while(
    tmp_path: Path, signer: Signer
) -> None:
    chain(tmp_path, signer)
    journal = ChainJournal(tmp_path)
    notes = read_notes(tmp_path / FILE)
    append_note(tmp_path / FILE, write_note(signer, chain_id="later", size=99, root=b""))
    assert [note.size for note in notes] == [5, 10, 15, 20]
    journal.close()


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
