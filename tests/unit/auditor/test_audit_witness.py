from collections.abc import Iterator
from pathlib import Path

import pytest

from services.auditor.chain.checkpoints import FILE, append_note, read_notes, write_note
from services.auditor.chain.journal import ChainJournal
from services.auditor.chain.merkle import leaf_hash, root_of
from services.auditor.chain.record import chain_id
from services.auditor.evidence.verify import verify_folder
from services.auditor.evidence.witness import WITNESSED, Witness
from shared.domain.errors import InvariantBroken
from shared.runtime.signing import Signer
from tests.unit.auditor.chains import DAY, begun, entry, payloads, relinked, sealed


class Scene:
    def __init__(self, folder: Path) -> None:
        self.chain, self.own = folder / "chain", folder / "witness"
        self.own.mkdir()
        self.auditor, self.signer = Signer.generate(), Signer.generate()
        self.journal: ChainJournal = begun(self.chain, self.auditor)
        self.number = 0

    def grow(self, records: int) -> None:
        for _ in range(records):
            self.number += 1
            self.journal.append([entry(self.number)], day=DAY)
        sealed(self.journal, self.auditor)

    def witness(self) -> Witness:
        return Witness(self.chain, self.own, self.signer, self.auditor.public)

    def rewrite(self) -> None:
        """By one who holds the auditor's key: right hashes, a checkpoint that fits."""
        file = self.chain / "20240105.jsonl"
        records = payloads(file)
        records[2]["type"] = "NeverHappened"
        data = relinked(records)
        file.write_bytes(data)
        root = root_of([leaf_hash(line) for line in data.splitlines()])
        (self.chain / FILE).unlink()
        (self.chain / "position.json").unlink()
        note = write_note(self.auditor, chain_id=chain_id(records[0]), size=len(records), root=root)
        append_note(self.chain / FILE, note)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.journal.close()


def test_growth_is_countersigned_once_also_over_a_restart(scene: Scene) -> None:
    scene.grow(4)
    witness = scene.witness()
    assert (witness.look(), witness.look(), witness.height) == (1, 0, 5)
    scene.grow(3)
    assert (scene.witness().look(), scene.witness().look()) == (1, 0)
    assert [note.size for note in read_notes(scene.own / WITNESSED)] == [5, 8]


def test_what_it_signed_is_an_anchor(scene: Scene) -> None:
    scene.grow(4)
    scene.witness().look()
    anchors = [scene.own / WITNESSED]
    keys = {"public_key": scene.auditor.public, "witness_key": scene.signer.public}
    assert verify_folder(scene.chain, anchors=anchors, **keys).checkpoints == 2
    scene.rewrite()
    assert verify_folder(scene.chain, public_key=scene.auditor.public).exit_code == 0
    assert verify_folder(scene.chain, anchors=anchors, **keys).exit_code == 5


def test_it_signs_no_second_history(scene: Scene) -> None:
    scene.grow(4)
    scene.witness().look()
    scene.rewrite()
    scene.journal.close()
    scene.journal = ChainJournal(scene.chain)
    scene.grow(3)
    with pytest.raises(InvariantBroken, match="does not follow what was seen"):
        scene.witness().look()
    assert [note.size for note in read_notes(scene.own / WITNESSED)] == [5]


def test_it_signs_no_root_but_that_of_the_records(scene: Scene) -> None:
    scene.grow(4)
    assert scene.journal.genesis is not None
    wrong = write_note(
        scene.auditor, chain_id=chain_id(scene.journal.genesis), size=4, root=b"\0" * 32
    )
    (scene.chain / FILE).write_text(f"{wrong}\n")
    with pytest.raises(InvariantBroken, match="a fork"):
        scene.witness().look()


def test_it_signs_nothing_that_the_auditor_did_not(scene: Scene) -> None:
    scene.auditor, honest = Signer.generate(), scene.auditor
    scene.grow(4)
    scene.auditor = honest
    with pytest.raises(InvariantBroken, match="not signed by the auditor"):
        scene.witness().look()


def test_a_checkpoint_over_more_than_is_there_is_refused(scene: Scene) -> None:
    scene.grow(4)
    (scene.chain / "20240105.jsonl").write_bytes(b"")
    with pytest.raises(InvariantBroken, match="only 0 are there"):
        scene.witness().look()
