import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from services.auditor.chain.checkpoints import FILE, append_note, read_notes, sign_checkpoint
from services.auditor.chain.journal import ChainJournal
from services.auditor.chain.record import chain_id
from services.auditor.chain.trust import Trust, witness_keys
from services.auditor.chain.witness_files import LATEST, REFUSAL, WITNESSED, latest_cosignatures
from services.auditor.evidence.findings import Verdict
from services.auditor.evidence.verify import verify_folder
from services.auditor.witness.__main__ import Watch
from services.auditor.witness.witness import POSITION, Witness
from shared.domain.errors import InvariantBroken
from shared.runtime.clock import ManualClock
from shared.runtime.observability.health_server import Health
from shared.runtime.signing import Signer
from tests.builders import NOON
from tests.unit.auditor.chains import (
    AT,
    DAY,
    FIRST,
    begun,
    entry,
    forged,
    grown,
    memory_of,
    opened,
    payloads,
    relinked,
    resealed,
)


class Scene:
    def __init__(self, folder: Path) -> None:
        self.chain, self.own = folder / "chain", folder / "witness"
        self.own.mkdir()
        self.auditor, self.signer = Signer.generate(), Signer.generate()
        self.clock = ManualClock(NOON)
        self.journal: ChainJournal = begun(self.chain, self.auditor)
        self.number = 0

    def grow(self, records: int, *, cosigned: int = 0) -> None:
        for _ in range(records):
            self.number += 1
            if cosigned and self.journal.unsealed == 0:
                root = self.journal.state.tree.root().hex()
                size = self.journal.height
                said = {"type": "Sealed", "at": "now", "size": size, "root": root}
                self.journal.append([{**said, "cosigned": cosigned}], day=DAY)
            grown(self.journal, entry(self.number))
        self.journal.seal(at=self.clock.now())

    def witness(self) -> Witness:
        return Witness(self.chain, self.own, self.signer, self.auditor.public, self.clock)

    @property
    def trust(self) -> Trust:
        return Trust(self.auditor.public, witness_keys({"witness": self.signer.public}))

    def judge(self, as_of: dt.datetime | None = None) -> Verdict:
        return verify_folder(self.chain, trust=self.trust, witnesses=[self.own], as_of=as_of)

    def rewrite(self) -> None:
        """By one who holds the auditor's key and volumes: right hashes, checkpoints that fit."""
        self.journal.close()
        file = self.chain / FIRST
        records = payloads(file)
        records[2]["type"] = "NeverHappened"
        data = relinked(forged(records))
        file.write_bytes(data)
        resealed(self.chain, self.auditor, data)
        memory_of(self.chain).unlink()
        self.journal = opened(self.chain, self.auditor)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.journal.close()


def witnessed(scene: Scene) -> list[int]:
    return [note.size for note in read_notes(scene.own / WITNESSED)]


def test_growth_is_countersigned_once_also_over_a_restart(scene: Scene) -> None:
    scene.grow(4)
    witness = scene.witness()
    assert (witness.look(), witness.look(), witness.height) == (1, 0, 5)
    scene.grow(3)
    assert (scene.witness().look(), scene.witness().look()) == (1, 0)
    assert witnessed(scene) == [5, 9]


def test_what_it_signed_is_an_anchor(scene: Scene) -> None:
    scene.grow(4)
    scene.witness().look()
    anchors = [scene.own / WITNESSED]
    assert verify_folder(scene.chain, trust=scene.trust, anchors=anchors).checkpoints == 2
    scene.rewrite()
    assert verify_folder(scene.chain, trust=scene.trust).exit_code == 0
    assert verify_folder(scene.chain, trust=scene.trust, anchors=anchors).exit_code == 5
    assert scene.judge().exit_code == 5


def test_it_signs_no_second_history(scene: Scene) -> None:
    scene.grow(4)
    scene.witness().look()
    scene.rewrite()
    scene.grow(3)
    with pytest.raises(InvariantBroken, match="a fork"):
        scene.witness().look()
    assert witnessed(scene) == [5]


def test_it_signs_no_second_history_that_hides_the_checkpoint_it_signed(scene: Scene) -> None:
    scene.grow(4)
    scene.witness().look()
    scene.rewrite()
    scene.grow(3)
    (*_, last) = read_notes(scene.chain / FILE)
    (scene.chain / FILE).write_text(f"{last.text}\n")
    with pytest.raises(InvariantBroken, match="is not what it was: a fork"):
        scene.witness().look()
    assert witnessed(scene) == [5]


def test_it_signs_no_root_but_that_of_the_records(scene: Scene) -> None:
    scene.grow(4)
    assert scene.journal.genesis is not None
    name = chain_id(scene.journal.genesis)
    wrong = sign_checkpoint(scene.auditor, chain_id=name, size=4, root=b"\0" * 32, at=AT)
    (scene.chain / FILE).write_text(f"{wrong.text}\n")
    with pytest.raises(InvariantBroken, match="a fork"):
        scene.witness().look()


def test_it_signs_nothing_that_the_auditor_did_not(scene: Scene) -> None:
    scene.grow(4)
    scene.auditor = Signer.generate()
    with pytest.raises(InvariantBroken, match="not signed by the auditor"):
        scene.witness().look()


def test_a_checkpoint_over_more_than_is_there_is_refused(scene: Scene) -> None:
    scene.grow(4)
    (scene.chain / FIRST).write_bytes(b"")
    with pytest.raises(InvariantBroken, match="only 0 are there"):
        scene.witness().look()


@pytest.mark.parametrize("restarted", [True, False])
def test_checkpoints_that_were_cut_are_refused(scene: Scene, restarted: bool) -> None:
    scene.grow(4)
    witness = scene.witness()
    witness.look()
    (scene.chain / FILE).write_bytes(b"")
    with pytest.raises(InvariantBroken, match="checkpoints"):
        (scene.witness() if restarted else witness).look()


def test_records_that_were_cut_are_refused(scene: Scene) -> None:
    scene.grow(4)
    scene.witness().look()
    scene.grow(2)
    (scene.chain / FIRST).write_bytes((scene.chain / FIRST).read_bytes()[:500])
    with pytest.raises(InvariantBroken, match="a cut"):
        scene.witness().look()


def test_a_quiet_chain_is_vouched_for_every_minute_anew(scene: Scene) -> None:
    scene.grow(4)
    witness = scene.witness()
    witness.look()
    scene.clock.advance(61)
    assert witness.look() == 0
    (newest,) = latest_cosignatures([scene.own], scene.trust.witnesses)
    assert (newest.checkpoint.size, newest.at) == (5, AT + 61)
    assert witnessed(scene) == [5]


@pytest.mark.parametrize("lost", [(POSITION,), (WITNESSED,), (POSITION, WITNESSED, LATEST)])
@pytest.mark.parametrize("damage", ["gone", "emptied"])
def test_a_witness_that_lost_its_memory_counts_anew_and_says_so(
    scene: Scene, lost: tuple[str, ...], damage: str
) -> None:
    scene.grow(4)
    scene.witness().look()
    scene.grow(3, cosigned=5)
    scene.witness().look()
    for name in lost:
        (scene.own / name).write_bytes(b"")
        if damage == "gone":
            (scene.own / name).unlink()
    again = scene.witness()
    again.look()
    assert again.memory_lost
    assert (again.height, witnessed(scene)) == (9, [5, 9])
    assert scene.judge().exit_code == 0


def test_a_witness_that_lost_its_place_still_signs_no_second_history(scene: Scene) -> None:
    scene.grow(4)
    scene.witness().look()
    (scene.own / POSITION).unlink()
    scene.rewrite()
    scene.grow(3)
    with pytest.raises(InvariantBroken, match="a fork"):
        scene.witness().look()


# --- what others see of it ------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["gone", "emptied", "cut"])
def test_a_witness_whose_notes_are_gone_is_told(scene: Scene, damage: str) -> None:
    scene.grow(4)
    scene.witness().look()
    scene.grow(3, cosigned=5)
    scene.witness().look()
    assert scene.judge().exit_code == 0
    notes = (scene.own / WITNESSED).read_bytes()
    (scene.own / WITNESSED).write_bytes(notes[-len(notes) // 2 :] if damage == "cut" else b"")
    if damage == "gone":
        (scene.own / WITNESSED).unlink()
    assert scene.judge().exit_code in (6, 13)


def test_without_any_word_of_the_witness_the_chain_is_not_vouched_for(scene: Scene) -> None:
    scene.grow(4)
    assert scene.judge().exit_code == 13


def test_a_witness_that_has_fallen_behind_is_told(scene: Scene) -> None:
    scene.grow(4)
    scene.witness().look()
    scene.clock.advance(10)
    scene.grow(1)
    assert scene.judge(NOON + dt.timedelta(seconds=60)).exit_code == 0
    verdict = scene.judge(NOON + dt.timedelta(seconds=100))
    assert verdict.exit_code == 13
    assert "has waited 90 s" in verdict.sentence


def test_a_word_under_another_key_is_no_word_of_the_witness(scene: Scene) -> None:
    scene.grow(4)
    scene.signer, pinned = Signer.generate(), scene.signer
    scene.witness().look()
    scene.signer = pinned
    assert scene.judge().exit_code == 6


def test_a_refusal_is_told_on_every_way_until_the_chain_is_the_old_one_again(scene: Scene) -> None:
    scene.grow(4)
    whole = {file: file.read_bytes() for file in scene.chain.iterdir() if file.stat().st_size}
    health = Health(scene.clock)
    watch = Watch(scene.witness(), health, structlog.get_logger())
    watch.look()
    assert health.reasons == []
    scene.rewrite()
    watch = Watch(scene.witness(), health, structlog.get_logger())
    watch.look()
    (why,) = health.reasons
    assert why.startswith("refuses to countersign: ")
    assert {each.name: each.value for each in watch.gauges()}["kobe_witness_refusing"] == 1
    assert "a fork" in (scene.own / REFUSAL).read_text()
    for file, data in whole.items():
        file.write_bytes(data)
    verdict = scene.judge()
    assert verdict.exit_code == 5
    assert "a witness refuses to countersign" in verdict.sentence
    watch.look()
    assert health.reasons == []
    assert scene.judge().exit_code == 0


def test_its_files_name_what_the_auditor_said_in_its_own_words(scene: Scene) -> None:
    scene.grow(4)
    scene.witness().look()
    (own,) = read_notes(scene.chain / FILE)
    (cosigned,) = read_notes(scene.own / WITNESSED)
    assert cosigned.note.signatures[:2] == own.note.signatures
    append_note(scene.own / "anchor", cosigned.text)
    verdict = verify_folder(scene.chain, trust=scene.trust, anchors=[scene.own / "anchor"])
    assert (verdict.exit_code, verdict.cosigned) == (0, 5)
