"""Whatever is cut, dropped, forked, rewritten or put back is told, with and without keys (51, 52).

An attacker holds one volume, or one Redis user, or the audit volume and keys. What he does must
stop the auditor when it starts, or be told by verify with the witness, or be recorded in the chain.
"""

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.auditor.chain.checkpoints import FILE, FRESH, append_note, read_notes, sign_checkpoint
from services.auditor.chain.day_files import day_files
from services.auditor.chain.merkle import Frontier, leaf_hash
from services.auditor.chain.record import chain_id, seal
from services.auditor.chain.witness_files import LATEST, WITNESSED
from services.auditor.witness.witness import POSITION
from tests.unit.auditor.attacked_world import STATE, Saved, World
from tests.unit.auditor.chains import memory_of

pytestmark = pytest.mark.slow

FULL = os.environ.get("KOBE_FULL") == "1"
ATTACKS, WORLDS = (1_000, 20) if FULL else (150, 3)
HONEST = 100 if FULL else 12
OK, BROKEN, TRUNCATED, REWRITTEN, SIGNATURE, CANONICAL = 0, 3, 4, 5, 6, 7
GAP, TORN, STALE, UNSEALED, NOT_COSIGNED = 8, 9, 11, 12, 13


def grow(folder: Path, seed: int) -> World:
    """A stack that has lived for a while, and whose last records a witness has seen."""
    world = World(folder, random.Random(seed))
    for day in range(2):
        if day:
            world.next_day()
        for _ in range(6):
            world.turn()
    world.bench.pass_time(61)
    world.bench.recorder.turn()
    world.look()
    world.bench.clock.advance(3)
    world.bench.recorder.turn()
    return world


@pytest.fixture(scope="module", params=range(WORLDS))
def attacked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, Saved, Saved]]:
    """A world as it is now, and as it was earlier."""
    world = grow(tmp_path_factory.mktemp("world"), request.param)
    earlier = world.save()
    for _ in range(5):
        world.turn()
    world.bench.pass_time(61)
    world.bench.recorder.turn()
    world.look()
    world.bench.clock.advance(3)
    world.bench.recorder.turn()
    yield world, world.save(), earlier
    world.bench.stop()


def test_nobody_attacked_nothing_is_told(attacked: tuple[World, Saved, Saved]) -> None:
    world, now, _ = attacked
    world.load(now)
    assert world.judge().exit_code == OK
    assert world.restart() == ""
    assert world.judge().exit_code == OK
    assert not world.evidence_missing()


# --- tools of an attacker -------------------------------------------------------------------------


def lines_of(world: World) -> list[bytes]:
    return [line for file in day_files(world.audit) for line in file.read_bytes().splitlines()]


def put_lines(world: World, lines: list[bytes]) -> None:
    """All into the first file, which is as good as into any."""
    first, *rest = day_files(world.audit)
    for file in rest:
        file.unlink()
    first.write_bytes(b"".join(line + b"\n" for line in lines))


def relink(lines: list[bytes], *, roots: bool) -> list[bytes]:
    """Right hashes; and, where asked for, right roots in the records that name checkpoints."""
    tree, head, result = Frontier.empty(), None, []
    for line in lines:
        payload = msgspec.json.decode(line)["payload"]
        if roots and payload.get("type") == "Sealed":
            payload = {**payload, "size": tree.size, "root": tree.root().hex()}
        line, head = seal(payload, head)
        tree.append(leaf_hash(line))
        result.append(line)
    return result


def reseal(world: World, lines: list[bytes]) -> None:
    """By one who holds the auditor's key.

    A checkpoint wherever the records name one, and at the end.
    """
    payloads = [msgspec.json.decode(line)["payload"] for line in lines]
    at = int(world.bench.clock.now().timestamp())
    tree, name = Frontier.empty(), chain_id(payloads[0])
    ends = {index for index, each in enumerate(payloads) if each.get("type") == "Sealed"}
    for file in (FILE, FRESH):
        (world.audit / file).unlink(missing_ok=True)
    for size, line in enumerate(lines, start=1):
        tree.append(leaf_hash(line))
        if size in ends or size == len(lines):
            signer = world.bench.signer
            note = sign_checkpoint(signer, chain_id=name, size=size, root=tree.root(), at=at)
            append_note(world.audit / FILE, note.text)


def notes_of(file: Path) -> list[str]:
    return [f"{note.text}\n" for note in read_notes(file)]


# --- attacks on the audit volume ------------------------------------------------------------------

Edit = Callable[[list[bytes], random.Random], list[bytes]]


def cut(lines: list[bytes], dice: random.Random) -> list[bytes]:
    return lines[: dice.randrange(1, len(lines))]


def drop(lines: list[bytes], dice: random.Random) -> list[bytes]:
    start = dice.randrange(1, len(lines))
    return lines[:start] + lines[start + dice.randrange(1, 5) :]


def swap(lines: list[bytes], dice: random.Random) -> list[bytes]:
    one, two = dice.sample(range(1, len(lines)), 2)
    lines[one], lines[two] = lines[two], lines[one]
    return lines


def repeat(lines: list[bytes], dice: random.Random) -> list[bytes]:
    at = dice.randrange(1, len(lines))
    return [*lines[:at], lines[dice.randrange(1, len(lines))], *lines[at:]]


def change(lines: list[bytes], dice: random.Random) -> list[bytes]:
    at = dice.randrange(1, len(lines))
    lines[at], _ = seal({"type": "NeverHappened", "why": str(dice.random())}, None)
    return lines


def fork(lines: list[bytes], dice: random.Random) -> list[bytes]:
    """Another history from some record on, and longer than the true one."""
    start = dice.randrange(1, len(lines))
    more = [seal({"type": "Other", "n": n}, None)[0] for n in range(len(lines) - start + 5)]
    return lines[:start] + more


EDITS: dict[str, Edit] = {
    "cut": cut,
    "drop": drop,
    "swap": swap,
    "repeat": repeat,
    "change": change,
    "fork": fork,
}


def edit_records(world: World, dice: random.Random, power: str) -> str:
    name = dice.choice(list(EDITS))
    lines = EDITS[name](lines_of(world), dice)
    if power != "bytes":
        lines = relink(lines, roots=power == "key")
    put_lines(world, lines)
    if power == "key":
        reseal(world, lines)
    return f"records: {name}, {power}"


def edit_notes(world: World, dice: random.Random) -> str:
    file = world.audit / FILE
    notes = notes_of(file)
    kind = dice.choice(["delete", "empty", "drop", "cut", "reverse", "garbage", "crlf", "repeat"])
    if kind == "drop":
        del notes[dice.randrange(len(notes))]
    elif kind == "reverse":
        notes.reverse()
    elif kind == "repeat":
        notes.append(notes[dice.randrange(len(notes))])
    elif kind == "garbage":
        notes.insert(dice.randrange(len(notes)), "kobe81/audit/x\n1\nAAAA\n\n— x AAAA\n\n")
    text = "".join(notes)
    if kind == "cut":
        text = text[: dice.randrange(len(text) - 2)]
    file.write_text("" if kind == "empty" else text, newline="\r\n" if kind == "crlf" else "")
    if kind == "delete":
        file.unlink()
    return f"notes: {kind}"


def empty_folder(world: World, _: random.Random) -> str:
    for file in world.audit.iterdir():
        file.unlink()
    return "the folder emptied"


def put_back(world: World, earlier: Saved) -> str:
    empty_folder(world, random.Random(0))
    for file, data in earlier.of(world.audit).items():
        file.write_bytes(data)
    return "the folder put back to an older copy"


def attack_audit_volume(world: World, dice: random.Random, earlier: Saved) -> str:
    kind = dice.choice(["records", "records", "records", "notes", "notes", "empty", "back"])
    if kind == "records":
        return edit_records(world, dice, dice.choice(["bytes", "links", "key", "key"]))
    if kind == "notes":
        return edit_notes(world, dice)
    return empty_folder(world, dice) if kind == "empty" else put_back(world, earlier)


@pytest.mark.parametrize("number", range(ATTACKS // WORLDS))
def test_no_attack_on_the_audit_volume_passes_with_or_without_the_auditor_s_key(
    attacked: tuple[World, Saved, Saved], number: int
) -> None:
    world, now, earlier = attacked
    dice = random.Random(number)
    world.load(now)
    what = attack_audit_volume(world, dice, earlier)
    if {file: file.read_bytes() for file in now.of(world.audit) if file.exists()} == now.of(
        world.audit
    ):
        return
    if not any(world.audit.glob("*.jsonl")):
        assert world.restart(), what
        return
    before = world.judge()
    assert before.exit_code not in (OK, GAP, STALE), (what, before)
    refused = world.restart()
    assert refused or world.judge().exit_code not in (OK, GAP, STALE), (what, before)


# --- attacks on other volumes and on Redis --------------------------------------------------------


def edit_witness(world: World, dice: random.Random, earlier: Saved) -> str:
    folder = world.witness_folder
    kind = dice.choice(["delete", "empty", "drop", "cut", "back", "all", "garbage"])
    name = dice.choice([WITNESSED, LATEST, POSITION])
    file = folder / name
    if kind == "drop":
        name = WITNESSED
        notes = notes_of(folder / name)
        del notes[dice.randrange(len(notes))]
        (folder / name).write_text("".join(notes))
    elif kind == "back":
        for each, data in earlier.of(folder).items():
            each.write_bytes(data)
    elif kind == "all":
        for each in folder.iterdir():
            each.unlink()
    elif kind == "delete":
        file.unlink()
    else:
        data = file.read_bytes()
        shorter = data[: dice.randrange(len(data) - 2)]
        file.write_bytes({"empty": b"", "cut": shorter, "garbage": b"hello\n"}[kind])
    return f"witness: {kind} {name}"


@pytest.mark.parametrize("number", range(max(10, ATTACKS // WORLDS // 5)))
def test_no_attack_on_the_witness_s_volume_goes_unheard_or_stops_the_chain(
    attacked: tuple[World, Saved, Saved], number: int
) -> None:
    world, now, earlier = attacked
    dice = random.Random(1000 + number)
    world.load(now)
    what = edit_witness(world, dice, earlier)
    touched = {file: file.read_bytes() for file in world.witness_folder.iterdir()}
    if touched == now.of(world.witness_folder):
        return
    verdict = world.judge()
    witness = world.witness()
    witness.look()
    told = verdict.exit_code in (REWRITTEN, SIGNATURE, UNSEALED, NOT_COSIGNED)
    assert told or witness.memory_lost, (what, verdict)
    assert world.judge().exit_code == OK, (what, world.judge())


def edit_redis(world: World, dice: random.Random) -> str:
    state = world.bench.server.hash(STATE)
    height = json.loads(state["height"])
    kind = dice.choice(["flush", "lower", "higher", "head", "sealed"])
    if kind == "flush":
        state.clear()
    elif kind == "head":
        state["head"] = json.dumps("0" * 64)
    elif kind == "sealed":
        state["sealed"] = str(height + 1)
    else:
        change = dice.randrange(1, 9)
        state["height"] = str(height + (change if kind == "higher" else -change))
    return f"redis: {kind}"


@pytest.mark.parametrize("number", range(10))
def test_no_lie_in_redis_goes_unheard(attacked: tuple[World, Saved, Saved], number: int) -> None:
    world, now, _ = attacked
    world.load(now)
    what = edit_redis(world, random.Random(number))
    refused = world.restart()
    assert refused or world.evidence_missing(), what
    if not refused:
        assert world.judge().exit_code == OK, what


@pytest.mark.parametrize("damage", ["delete", "empty", "garbage", "back", "other"])
def test_no_change_of_the_auditor_s_own_volume_goes_unheard(
    attacked: tuple[World, Saved, Saved], damage: str
) -> None:
    world, now, earlier = attacked
    world.load(now)
    file = memory_of(world.audit)
    changed: dict[str, Any] = json.loads(file.read_bytes())
    changed["position"]["height"] += 1
    data = {
        "empty": b"",
        "garbage": b"{]",
        "back": earlier.files[file],
        "other": json.dumps(changed).encode(),
    }
    file.unlink() if damage == "delete" else file.write_bytes(data[damage])
    refused = world.restart()
    # An older memory of the same chain is true; it only says less.
    assert refused or world.evidence_missing() or damage == "back"
    assert world.judge().exit_code == OK


# --- no false alarm -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(HONEST))
def test_an_honest_stack_is_never_accused(tmp_path: Path, seed: int) -> None:
    """It is killed and started again, stops in good order, sleeps, and passes from day to day."""
    world, dice = World(tmp_path, random.Random(seed)), random.Random(seed)
    world.look()
    for _ in range(12):
        fate = dice.choice(["live", "live", "live", "kill", "stop", "quiet", "day", "no witness"])
        if fate == "kill":
            assert world.restart() == ""
        elif fate == "stop":
            world.bench.recorder.finish()
            assert world.judge().exit_code == OK
            world.bench.clock.advance(dice.choice([5, 4000]))
            assert world.judge().exit_code == OK
            assert world.restart() == ""
        elif fate == "quiet":
            for _ in range(3):
                world.bench.pass_time(61)
                world.bench.recorder.turn()
                world.look()
        elif fate == "day":
            world.next_day()
        world.turn()
        if fate != "no witness":
            world.look()
        verdict = world.judge()
        assert verdict.exit_code == OK, (fate, verdict)
    assert not world.evidence_missing()
    world.bench.stop()
