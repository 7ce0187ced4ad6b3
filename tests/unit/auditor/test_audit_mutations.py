"""Whatever is done to the bytes of a chain is found, and at the record at which it was done."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.auditor.chain.trust import Trust
from services.auditor.evidence.findings import Verdict
from services.auditor.evidence.verify import verify_folder
from shared.runtime.signing import Signer
from tests.unit.auditor.chains import chain, payloads, relinked

pytestmark = pytest.mark.slow

RECORDS = 10
NAMING = 5
BROKEN, TRUNCATED, REWRITTEN, NOT_CANONICAL = 3, 4, 5, 7


SIGNER = Signer.generate()


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    file = chain(tmp_path_factory.mktemp("chain"), SIGNER, records=RECORDS, every=5)
    return file, file.read_bytes().splitlines(keepends=True)


def judge(file: Path) -> Verdict:
    return verify_folder(file.parent, trust=Trust(SIGNER.public))


def judged(file: Path, changed: list[bytes]) -> Verdict:
    file.write_bytes(b"".join(changed))
    return judge(file)


def test_every_flipped_byte_is_found_in_its_record(lines: tuple[Path, list[bytes]]) -> None:
    file, whole = lines
    bits = random.Random(81)
    for index, line in enumerate(whole):
        for place in range(len(line)):
            flipped = bytearray(line)
            flipped[place] ^= 1 << bits.randrange(8)
            verdict = judged(file, [*whole[:index], bytes(flipped), *whole[index + 1 :]])
            assert verdict.exit_code in (BROKEN, NOT_CANONICAL, TRUNCATED), (index, place)
            assert verdict.index == index, (index, place)


EDITS: dict[str, Callable[[list[Any], int], None]] = {
    "drop": lambda records, at: records.pop(at),
    "swap": lambda records, at: records.insert(at, records.pop(at + 1)),
    "insert a copy of another": lambda records, at: records.insert(at, records[at - 1]),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("at", range(1, RECORDS - 1))
def test_moved_records_break_the_link_where_they_were_moved(
    lines: tuple[Path, list[bytes]], edit: str, at: int
) -> None:
    file, whole = lines
    changed = list(whole)
    EDITS[edit](changed, at)
    verdict = judged(file, changed)
    assert (verdict.exit_code, verdict.index) == (BROKEN, at)


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("at", range(1, RECORDS - 1))
def test_moved_records_with_right_hashes_contradict_the_next_checkpoint(
    lines: tuple[Path, list[bytes]], edit: str, at: int
) -> None:
    file, whole = lines
    file.write_bytes(b"".join(whole))
    records = payloads(file)
    EDITS[edit](records, at)
    file.write_bytes(relinked(records))
    verdict = judge(file)
    if at == NAMING or (at == NAMING + 1 and edit.startswith("insert")):
        # The record that names the checkpoint was moved itself: found where it is missed.
        assert (verdict.exit_code, verdict.index) == (REWRITTEN, at)
    elif edit == "drop" and at > NAMING:
        assert (verdict.exit_code, verdict.index) == (TRUNCATED, RECORDS - 1)
    else:
        assert (verdict.exit_code, verdict.index) == (REWRITTEN, 4 if at < 5 else 9)


@pytest.mark.parametrize("kept", range(RECORDS))
def test_a_cut_end_is_found(lines: tuple[Path, list[bytes]], kept: int) -> None:
    file, whole = lines
    verdict = judged(file, whole[:kept])
    assert (verdict.exit_code, verdict.index) == (TRUNCATED, kept or 0)


def test_random_edits_are_all_found(lines: tuple[Path, list[bytes]]) -> None:
    file, whole = lines
    data, dice = b"".join(whole), random.Random(50)
    for _ in range(1500):
        start = dice.randrange(len(data))
        stop = min(len(data), start + dice.randrange(1, 40))
        noise = dice.choice([b"", dice.randbytes(stop - start), data[start:stop] * 2])
        changed = data[:start] + noise + data[stop:]
        file.write_bytes(changed)
        verdict = judge(file)
        if changed == data:
            continue
        pairs = enumerate(zip(data, changed, strict=False))
        touched = next(
            (place for place, (was, is_now) in pairs if was != is_now), min(len(data), len(changed))
        )
        assert verdict.exit_code != 0
        assert verdict.index == data[:touched].count(b"\n")
