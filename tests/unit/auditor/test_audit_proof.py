import base64
from pathlib import Path

import msgspec
import pytest

from services.auditor.chain.checkpoints import FILE, read_notes
from services.auditor.chain.trust import Trust
from services.auditor.evidence.anchor import anchor, newest_checkpoint
from services.auditor.evidence.consistency_proof import (
    check_consistency,
    nodes_between,
    prove_consistency,
    witness_request,
)
from services.auditor.evidence.findings import Verdict
from services.auditor.evidence.inclusion_proof import Bundle, check as check_bundle, prove
from services.auditor.evidence.verify import verify_folder
from shared.domain.errors import UserError
from shared.runtime.signing import Signer
from shared.schemas.envelope import canonical
from tests.unit.auditor.chains import chain, forged, payloads, relinked, resealed


@pytest.fixture
def signer() -> Signer:
    return Signer.generate()


@pytest.mark.parametrize("index", range(20))
def test_every_sealed_record_is_proved_without_the_chain(
    tmp_path: Path, signer: Signer, index: int
) -> None:
    file = chain(tmp_path, signer, records=22)
    bundle = prove(tmp_path, index)
    assert bundle.record.encode() == file.read_bytes().splitlines()[index]
    verdict = check_bundle(canonical(bundle), Trust(signer.public))
    assert verdict.valid
    assert verdict.height == (index // 5 + 1) * 5


@pytest.mark.parametrize("index", [20, 21, 99])
def test_what_no_checkpoint_covers_cannot_be_proved_yet(
    tmp_path: Path, signer: Signer, index: int
) -> None:
    chain(tmp_path, signer, records=22)
    with pytest.raises(UserError, match="No checkpoint covers"):
        prove(tmp_path, index)


def changed(bundle: Bundle, **changes: object) -> bytes:
    return canonical(msgspec.structs.replace(bundle, **changes))


def test_a_bundle_that_was_touched_proves_nothing(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    bundle, other = prove(tmp_path, 7), prove(tmp_path, 8)

    def check(data: bytes) -> Verdict:
        return check_bundle(data, Trust(signer.public))

    assert check(canonical(bundle)).exit_code == 0
    assert check(changed(bundle, record=bundle.record.replace("AAPL", "MSFT"))).exit_code == 3
    assert check(changed(bundle, record=other.record)).exit_code == 5
    assert check(changed(bundle, index=8)).exit_code == 5
    assert check(changed(bundle, index=-1)).exit_code == 5
    assert check(changed(bundle, proof=bundle.proof[:-1])).exit_code == 5
    assert check(changed(bundle, proof=())).exit_code == 5
    assert check(changed(bundle, note=bundle.note.replace("\n10\n", "\n11\n"))).exit_code == 6
    assert check(changed(bundle, record="{}")).exit_code == 7
    assert check(changed(bundle, record="[]")).exit_code == 7
    assert check(changed(bundle, public="00" * 32)).exit_code == 0


def test_a_bundle_signed_by_another_key_is_refused(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    other = Trust(Signer.generate().public)
    assert check_bundle(canonical(prove(tmp_path, 7)), other).exit_code == 6


def test_the_key_that_a_bundle_brings_along_is_not_believed(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    verdict = check_bundle(canonical(prove(tmp_path, 7)), Trust())
    assert verdict.exit_code == 10
    assert verdict.sentence.startswith("key NOT pinned")


def test_what_is_no_bundle_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a proof"):
        check_bundle(b"{}", Trust())
    with pytest.raises(UserError, match="no audit chain"):
        prove(tmp_path, 1)


def test_the_proof_is_had_in_the_form_of_other_tools_too(tmp_path: Path, signer: Signer) -> None:
    file = chain(tmp_path, signer)
    bundle = prove(tmp_path, 7)
    head, extra, index, *path = bundle.tlog_proof().partition("\n\n")[0].split("\n")
    assert (head, index) == ("c2sp.org/tlog-proof@v1", "index 7")
    assert base64.b64decode(extra.removeprefix("extra ")) == file.read_bytes().splitlines()[7]
    assert [base64.b64decode(node).hex() for node in path] == list(bundle.proof)
    assert bundle.tlog_proof().partition("\n\n")[2] == bundle.note


def test_the_newest_checkpoint_is_added_to_the_anchor_once(tmp_path: Path, signer: Signer) -> None:
    folder, file = tmp_path / "chain", tmp_path / "anchor.notes"
    chain(folder, signer)
    note = newest_checkpoint(folder)
    anchor(note, file)
    anchor(note, file)
    assert [note.size for note in read_notes(file)] == [20]
    verdict = verify_folder(folder, trust=Trust(signer.public), anchors=[file])
    assert (verdict.exit_code, verdict.checkpoints) == (0, 5)


def test_an_anchor_copied_without_its_end_is_added_to_as_it_should_be(
    tmp_path: Path, signer: Signer
) -> None:
    folder, file = tmp_path / "chain", tmp_path / "anchor.notes"
    chain(folder, signer)
    first, *_, last = read_notes(folder / FILE)
    file.write_text(first.text.rstrip("\n"))
    anchor(last, file)
    assert [note.size for note in read_notes(file)] == [5, 20]


def test_an_anchor_is_never_added_to_another_file(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path / "chain", signer)
    (tmp_path / "diary").write_text("dear diary\n\n")
    with pytest.raises(UserError, match="is not added to"):
        anchor(newest_checkpoint(tmp_path / "chain"), tmp_path / "diary")
    assert (tmp_path / "diary").read_text() == "dear diary\n\n"


# --- growth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), [(5, 10), (5, 20), (15, 20), (20, 20)])
def test_the_growth_between_two_checkpoints_is_proved_without_the_chain(
    tmp_path: Path, signer: Signer, old: int, new: int
) -> None:
    chain(tmp_path, signer)
    bundle = prove_consistency(tmp_path, old, new)
    assert check_consistency(bundle, Trust(signer.public)).exit_code == 0
    assert check_consistency(bundle, Trust(Signer.generate().public)).exit_code == 6
    assert check_consistency(bundle, Trust()).exit_code == 10


def test_no_growth_is_proved_between_two_histories(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path / "one", signer)
    file = chain(tmp_path / "two", signer)
    records = payloads(file)
    records[3]["type"] = "NeverHappened"
    file.write_bytes(data := relinked(forged(records)))
    resealed(tmp_path / "two", signer, data)
    one = prove_consistency(tmp_path / "one", 5, 20)
    two = prove_consistency(tmp_path / "two", 5, 20)
    mixed = msgspec.structs.replace(two, old_note=one.old_note)
    assert check_consistency(two, Trust(signer.public)).exit_code == 0
    assert check_consistency(mixed, Trust(signer.public)).exit_code == 5
    shortened = msgspec.structs.replace(one, consistency=one.consistency[:-1])
    assert check_consistency(shortened, Trust(signer.public)).exit_code == 5


def test_a_size_without_a_checkpoint_is_one_sentence(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    with pytest.raises(UserError, match="the nearest one is over 10"):
        prove_consistency(tmp_path, 9, 20)


def test_the_proof_is_a_witness_s_request_too(tmp_path: Path, signer: Signer) -> None:
    chain(tmp_path, signer)
    (*_, newest) = read_notes(tmp_path / FILE)
    nodes = nodes_between(tmp_path, 10, 20)
    head, *proof = witness_request(newest, 10, nodes).partition("\n\n")[0].split("\n")
    assert head == "old 10"
    assert [base64.b64decode(line) for line in proof] == nodes
    assert witness_request(newest, 0, nodes_between(tmp_path, 0, 20)) == f"old 0\n\n{newest.text}"
