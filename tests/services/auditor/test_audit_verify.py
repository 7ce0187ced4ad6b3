import datetime as dt
import json
from pathlib import Path

import pytest

from services.auditor.checkpoints import append_note, write_note
from services.auditor.journal import Journal
from services.auditor.verify import verify_folder, verify_legacy
from shared.domain.chain import seal
from shared.domain.errors import UserError
from shared.runtime.signing import Signer

DAY = dt.date(2024, 1, 5)


def chain(folder: Path, signer: Signer, records: int = 20, every: int = 5) -> Path:
    journal = Journal(folder)
    genesis = {"type": "Genesis", "auditor_key": {"key_id": signer.key_id, "public": signer.public.hex()}}
    journal.append([genesis], day=DAY)
    for number in range(1, records):
        journal.append([{"writer": "executor", "seq": number, "type": "OrderFilled"}], day=DAY)
        if journal.height % every == 0:
            append_note(folder, write_note(signer, chain_id="c", size=journal.height, root=journal.tree.root()))
    journal.close()
    return folder / "20240105.jsonl"


@pytest.fixture
def signer() -> Signer:
    return Signer.generate()


def test_a_whole_chain_verifies(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    verdict = verify_folder(tmp_path, public_key=signer.public)
    assert (verdict.exit_code, verdict.height, verdict.checkpoints) == (0, 20, 4)


@pytest.mark.parametrize("index", [0, 1, 7, 19])
def test_a_changed_record_is_found_where_it_lies(tmp_path: Path, signer: Signer, index: int) -> None:
    file = chain(tmp_path, signer)
    lines = file.read_bytes().splitlines(keepends=True)
    lines[index] = lines[index].replace(b'"type":"', b'"type":"Y', 1)
    file.write_bytes(b"".join(lines))
    verdict = verify_folder(tmp_path)
    assert (verdict.exit_code, verdict.index) == (3, index)


@pytest.mark.parametrize("what", ["swap", "drop", "insert"])
def test_moved_dropped_and_inserted_records_break_the_links(tmp_path: Path, signer: Signer, what: str) -> None:
    file = chain(tmp_path, signer)
    lines = file.read_bytes().splitlines(keepends=True)
    if what == "swap":
        lines[4], lines[5] = lines[5], lines[4]
    elif what == "drop":
        del lines[4]
    else:
        lines.insert(4, lines[3])
    file.write_bytes(b"".join(lines))
    verdict = verify_folder(tmp_path)
    assert (verdict.exit_code, verdict.index) == (3, 4)


def test_a_rewrite_with_right_hashes_is_found_by_the_checkpoint(tmp_path: Path, signer: Signer) -> None:
    file = chain(tmp_path, signer)
    payloads = [json.loads(line)["payload"] for line in file.read_bytes().splitlines()]
    payloads[7]["type"] = "NeverHappened"
    lines, head = [], None
    for payload in payloads:
        line, head = seal(payload, head)
        lines.append(line + b"\n")
    file.write_bytes(b"".join(lines))
    assert verify_folder(tmp_path).exit_code == 5


@pytest.mark.parametrize("kept", [19, 12, 1])
def test_a_cut_end_that_a_checkpoint_covered_is_found(tmp_path: Path, signer: Signer, kept: int) -> None:
    file = chain(tmp_path, signer)
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:kept]))
    assert verify_folder(tmp_path).exit_code == 4


def test_a_cut_beginning_is_found(tmp_path: Path, signer: Signer) -> None:
    file = chain(tmp_path, signer)
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[1:]))
    assert verify_folder(tmp_path).exit_code == 3


def test_checkpoints_of_another_key_are_refused(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    assert verify_folder(tmp_path, public_key=Signer.generate().public).exit_code == 6


def test_a_missing_number_of_a_writer_is_found(tmp_path: Path, signer: Signer) -> None:
    journal = Journal(tmp_path)
    genesis = {"type": "Genesis", "auditor_key": {"key_id": signer.key_id, "public": signer.public.hex()}}
    journal.append([genesis, {"writer": "executor", "seq": 1}, {"writer": "executor", "seq": 3}], day=DAY)
    journal.close()
    verdict = verify_folder(tmp_path)
    assert verdict.exit_code == 8
    assert "executor wrote a number 2" in verdict.sentence


def test_a_folder_without_a_chain_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no audit chain"):
        verify_folder(tmp_path)


def test_the_predecessors_format_is_checked_too(tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl"
    first = "c92111968844deac40e032c0daa9e4331275e2dc9303c2920b12db1bdc088ff6"
    record = {"payload": {"data": "foo", "event": "test1"}, "prev_hash": None, "this_hash": first}
    file.write_text(json.dumps(record) + "\n")
    assert verify_legacy(file).exit_code == 0
    file.write_text(json.dumps({**record, "payload": {}}) + "\n")
    assert verify_legacy(file).exit_code == 3
