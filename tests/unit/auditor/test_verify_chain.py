"""The verifier in one file agrees with ours, whatever is done to a chain (fault 50)."""

import base64
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from services.auditor.chain.checkpoints import FILE
from services.auditor.chain.trust import Trust, witness_keys
from services.auditor.chain.witness_files import LATEST, WITNESSED
from services.auditor.evidence.verify import verify_folder
from services.auditor.witness.witness import Witness
from shared.runtime.clock import ManualClock
from shared.runtime.signing import Keyring, Signer
from shared.schemas.envelope import to_fields
from tests.builders import NOON, approval, envelope
from tests.unit.auditor.chains import FIRST, begun, entry, grown, sealed

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).resolve().parents[3] / "docs" / "verify_chain.py"
EDITS = 10_000 if os.environ.get("KOBE_FULL") == "1" else 400
AS_OF = NOON.timestamp() + 30


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_chain", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


outside = load()


class Stack:
    """A chain with signed orders, gaps never, a witness that has seen all, and the keys."""

    def __init__(self, folder: Path) -> None:
        self.chain, self.witness = folder / "chain", folder / "witness"
        self.auditor, self.gate, self.witness_key = (Signer.generate() for _ in range(3))
        owners = {"auditor": self.auditor, "risk-gate": self.gate, "witness": self.witness_key}
        self.keys = {owner: signer.public for owner, signer in owners.items()}
        keyring = Keyring.of([signer.public_key(owner) for owner, signer in owners.items()])
        self.trust = Trust(self.auditor.public, witness_keys(self.keys), keyring)
        self._write()
        self._countersign()
        self.files = [
            self.chain / FIRST,
            self.chain / FILE,
            self.witness / WITNESSED,
            self.witness / LATEST,
        ]
        self.whole = {file: file.read_bytes() for file in self.files}

    def _write(self) -> None:
        journal = begun(self.chain, self.auditor, records=6)
        sealed(journal)
        for number in range(1, 13):
            if number % 4 == 0:
                signed = to_fields(self.gate.sign(envelope(approval(), seq=number)))
                grown(journal, entry(number, type="OrderApproved", message=signed))
            else:
                grown(journal, entry(number))
            if journal.unsealed >= 5:
                sealed(journal)
        # What no checkpoint covers yet may be cut unseen: the window that audit.md speaks of.
        grown(journal, entry(13))
        sealed(journal)
        journal.close()

    def _countersign(self) -> None:
        self.witness.mkdir()
        clock = ManualClock(NOON)
        Witness(self.chain, self.witness, self.witness_key, self.auditor.public, clock).look()

    def restore(self) -> None:
        for file, data in self.whole.items():
            file.write_bytes(data)

    def ours(self) -> tuple[int, int | None]:
        verdict = verify_folder(
            self.chain,
            trust=self.trust,
            witnesses=[self.witness],
            as_of=NOON.__class__.fromtimestamp(AS_OF, NOON.tzinfo),
        )
        return verdict.exit_code, verdict.index

    def theirs(self) -> tuple[int, int | None]:
        code, _, index = outside.Examination(
            self.chain, self.keys, [self.witness], [], AS_OF
        ).verdict()
        return code, index


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return Stack(tmp_path_factory.mktemp("stack"))


def test_both_find_a_whole_chain_whole(stack: Stack) -> None:
    stack.restore()
    assert stack.ours() == stack.theirs() == (0, None)


def flip(data: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(data))
    changed = bytes([data[place] ^ 1 << dice.randrange(8)])
    return data[:place] + changed + data[place + 1 :]


def cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def insert(data: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(data))
    noise = dice.choice([b"\n", b"\r\n", b" ", b"0", b"\xff", dice.randbytes(dice.randrange(1, 9))])
    return data[:place] + noise + data[place:]


def delete(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data))
    return data[:start] + data[start + dice.randrange(1, 40) :]


def drop_lines(data: bytes, dice: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    start = dice.randrange(len(lines))
    del lines[start : start + dice.randrange(1, 4)]
    return b"".join(lines)


def swap_lines(data: bytes, dice: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    one, two = dice.randrange(len(lines)), dice.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]
    return b"".join(lines)


def repeat(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data))
    return data[: start + dice.randrange(1, 400)] + data[start:]


def append(data: bytes, dice: random.Random) -> bytes:
    return data + dice.choice([b"\n", b"{}\n", b"x", dice.randbytes(20), data[-200:]])


KINDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip,
    cut,
    insert,
    delete,
    drop_lines,
    swap_lines,
    repeat,
    append,
)


def test_random_edits_are_judged_alike_and_none_passes(stack: Stack) -> None:
    dice = random.Random(9)
    for number in range(EDITS):
        stack.restore()
        file = dice.choice(stack.files)
        changed = dice.choice(KINDS)(stack.whole[file], dice)
        if changed == stack.whole[file]:
            continue
        file.write_bytes(changed)
        ours, theirs = stack.ours(), stack.theirs()
        # Of two notes that contradict each other either may be named first.
        both = (ours, theirs) if file.suffix == ".jsonl" else (ours[:1], theirs[:1])
        assert both[0] == both[1], (number, file.name, ours, theirs)
        if ours[0] == 0:
            assert is_harmless(stack.whole[file], changed), (number, file.name)
    stack.restore()


def is_harmless(whole: bytes, changed: bytes) -> bool:
    """Notes say the same without their very last newlines, and with signatures in another order."""
    lines = (sorted(data.rstrip(b"\n").split(b"\n")) for data in (whole, changed))
    return next(lines) == next(lines)


def test_the_arithmetic_of_its_own_agrees_with_the_library() -> None:
    dice = random.Random(8)
    for _ in range(6):
        signer = Signer.generate()
        message = dice.randbytes(dice.randrange(200))
        signature = signer.sign_bytes(message)
        assert outside.holds_in_python(signer.public, signature, message)
        assert not outside.holds_in_python(signer.public, signature, message + b"x")
        assert not outside.holds_in_python(signer.public, signature[:-1] + b"\xff", message)
        assert not outside.holds_in_python(dice.randbytes(32), signature, message)


def test_it_runs_where_nothing_is_installed(stack: Stack, tmp_path: Path) -> None:
    stack.restore()
    keys = [
        {"owner": owner, "key_id": "", "public": base64.b64encode(public).decode()}
        for owner, public in stack.keys.items()
    ]
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    script = shutil.copy(SCRIPT, tmp_path)
    arguments = [str(stack.chain), "--keys", str(tmp_path / "keys.json")]
    arguments += ["--witness", str(stack.witness), "--as-of", NOON.isoformat()]
    # -I and -S: neither this checkout nor any installed package can be imported.
    command = [sys.executable, "-I", "-S", str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "every record and every checkpoint verifies" in done.stdout
