"""The auditor goes on only with the chain that those who saw it remember (faults 23, 51, 52)."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.auditor.chain.checkpoints import FILE, read_notes
from services.auditor.evidence.verify import verify_folder
from services.auditor.witness.witness import Witness
from shared.domain.errors import InvariantBroken
from shared.schemas.messages import CheckpointCosigned
from tests.unit.auditor.bench import Bench
from tests.unit.auditor.chains import FIRST, forged, memory_of, payloads, relinked, resealed

STATE = "kobe:state:auditor"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A stack whose witness has seen everything."""
    bench = Bench(tmp_path / "audit")
    bench.stop()
    bench.witnesses = [tmp_path / "witness"]
    bench.witnesses[0].mkdir()
    bench.recorder = bench.make()
    bench.start()
    bench.orders(1, 2, 3)
    bench.recorder.turn()
    look(bench)
    bench.clock.advance(3)
    bench.recorder.turn()
    bench.orders(4)
    bench.pass_time(61)
    bench.recorder.turn()
    bench.stop()
    yield bench
    bench.stop()


def look(bench: Bench) -> None:
    Witness(
        bench.folder, bench.witnesses[0], bench.witness, bench.signer.public, bench.clock
    ).look()


def forget(bench: Bench, *who: str) -> None:
    if "auditor" in who:
        memory_of(bench.folder).unlink()
    if "redis" in who:
        bench.server.hashes.pop(STATE)
    if "witness" in who:
        shutil.rmtree(bench.witnesses[0])
        bench.witnesses[0].mkdir()


def rewrite(bench: Bench, *, key: bool) -> None:
    """Longer than it was, with right hashes; signed anew by one who holds the auditor's key."""
    file = bench.folder / FIRST
    records = payloads(file)
    records[3]["type"] = "NeverHappened"
    data = relinked(forged([*records, *({"type": "More"} for _ in range(9))]))
    file.write_bytes(data)
    if key:
        resealed(bench.folder, bench.signer, data)
    else:
        (bench.folder / FILE).unlink()


def restart(bench: Bench) -> None:
    bench.recorder = bench.make()
    bench.start()


def missing(bench: Bench) -> list[object]:
    return [each["where"] for each in bench.payloads() if each.get("type") == "EvidenceMissing"]


def test_it_goes_on_with_its_own_chain_and_verifies(bench: Bench) -> None:
    restart(bench)
    assert missing(bench) == []
    bench.recorder.finish()
    look(bench)
    verdict = verify_folder(
        bench.folder, trust=bench.trust, witnesses=bench.witnesses, as_of=bench.clock.now()
    )
    assert (verdict.exit_code, verdict.cosigned) == (0, verdict.height)


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize(
    "lost",
    [
        (),
        ("auditor",),
        ("redis",),
        ("witness",),
        ("auditor", "redis"),
        ("auditor", "witness"),
        ("redis", "witness"),
    ],
)
def test_as_long_as_one_remembers_a_forged_chain_is_never_gone_on_with(
    bench: Bench, lost: tuple[str, ...], key: bool
) -> None:
    rewrite(bench, key=key)
    forget(bench, *lost)
    before = {file.name: file.read_bytes() for file in bench.folder.glob("*") if file.is_file()}
    with pytest.raises(InvariantBroken):
        restart(bench)
    assert {file.name: file.read_bytes() for file in bench.folder.glob("*")} == before


@pytest.mark.parametrize("key", [True, False])
def test_a_chain_that_nobody_remembers_is_refused(bench: Bench, key: bool) -> None:
    rewrite(bench, key=key)
    forget(bench, "auditor", "redis", "witness")
    with pytest.raises(InvariantBroken, match=r"nobody remembers|was rewritten"):
        restart(bench)


@pytest.mark.parametrize("lost", ["auditor", "redis", "witness"])
def test_a_memory_that_is_gone_is_recorded_in_the_chain(bench: Bench, lost: str) -> None:
    forget(bench, lost)
    restart(bench)
    (where,) = missing(bench)
    assert isinstance(where, list)
    assert lost in where[0].lower()


def test_an_emptied_folder_is_no_new_beginning(bench: Bench) -> None:
    for file in bench.folder.iterdir():
        file.unlink()
    with pytest.raises(InvariantBroken, match="the chain was cut"):
        restart(bench)


@pytest.mark.parametrize("lost", [("auditor",), ("auditor", "redis"), ("auditor", "witness")])
def test_an_emptied_folder_is_no_new_beginning_whoever_remembers(
    bench: Bench, lost: tuple[str, ...]
) -> None:
    for file in bench.folder.iterdir():
        file.unlink()
    forget(bench, *lost)
    with pytest.raises(InvariantBroken, match="the chain was cut"):
        restart(bench)


def test_checkpoints_cut_behind_what_redis_remembers_stop_it(bench: Bench) -> None:
    notes = [f"{note.text}\n" for note in read_notes(bench.folder / FILE)]
    (bench.folder / FILE).write_text("".join(notes[:-1]))
    forget(bench, "auditor")
    with pytest.raises(InvariantBroken, match="the checkpoints were cut"):
        restart(bench)


def test_what_redis_remembers_in_the_middle_of_the_chain_must_be_there(bench: Bench) -> None:
    state = bench.server.hash(STATE)
    height = json.loads(state["height"])
    state["height"] = str(height - 1)
    with pytest.raises(InvariantBroken, match="are not those that Redis remembers"):
        restart(bench)


def test_a_stack_that_died_before_its_first_record_begins(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "audit")
    bench.recorder.journal.remember()
    bench.again()
    bench.recorder.finish()
    assert verify_folder(bench.folder, trust=bench.trust).exit_code == 0
    bench.stop()


# --- what it tells of its witnesses ---------------------------------------------------------------


def test_what_the_witness_vouches_for_is_published_and_stands_in_the_chain(bench: Bench) -> None:
    (vouched,) = bench.said(CheckpointCosigned)
    assert isinstance(vouched, CheckpointCosigned)
    assert vouched.witnesses == ("kobe81/witness",)
    (size, *_) = [note.size for note in read_notes(bench.folder / FILE) if note.size > 1]
    assert vouched.size == size
    state = bench.server.hash(STATE)
    assert json.loads(state["cosigned"]) == size
    assert json.loads(state["cosigned_at"]) == "2024-01-05T17:00:00Z"
    restart(bench)
    bench.orders(5)
    bench.recorder.turn()
    claims = [each["cosigned"] for each in bench.payloads() if "cosigned" in each]
    assert set(claims) == {size}


def test_how_old_the_witness_s_word_is_can_be_watched(bench: Bench) -> None:
    restart(bench)
    gauges = {each.name: each.value for each in bench.recorder.gauges()}
    assert gauges["kobe_audit_cosigned_timestamp_seconds"] == 1704474000.0
    assert gauges["kobe_audit_witness_trouble"] == 0


def test_a_word_that_cannot_be_read_is_no_word_and_is_told(bench: Bench) -> None:
    (bench.witnesses[0] / "latest.note").write_text("hello")
    restart(bench)
    gauges = {each.name: each.value for each in bench.recorder.gauges()}
    assert gauges["kobe_audit_witness_trouble"] == 1
    assert missing(bench) == [["the witness"]]
