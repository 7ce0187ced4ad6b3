#!/usr/bin/env python3
"""Verify a Kobe81 audit chain with nothing but Python 3.11: one file, no dependencies.

    python verify_chain.py FOLDER --keys FILE [--witness DIR] [--anchor FILE] [--as-of T]

Written apart from the product, from the description of the formats in audit.md, so that neither can
hide the other's mistake. Where the `cryptography` package is installed its Ed25519 is used, for
speed; else the arithmetic of RFC 8032 below. Exit codes are those of `kobe audit verify`.
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

OK, BROKEN_LINK, TRUNCATED, REWRITTEN, BAD_SIGNATURE, NOT_CANONICAL = 0, 3, 4, 5, 6, 7
WRITER_GAP, TORN_TAIL, KEY_NOT_PINNED, STALE, UNSEALED, NOT_COSIGNED = 8, 9, 10, 11, 12, 13
# Of several findings that leave the records whole, the first of these is told.
GRAVITY = (BAD_SIGNATURE, UNSEALED, NOT_COSIGNED, WRITER_GAP, STALE, KEY_NOT_PINNED, TORN_TAIL)
ORIGIN, WITNESS_NAME, WITNESS_SECONDS = "kobe81/audit/", "kobe81/witness", 60
PLAIN, TIMED = 1, 4
DASH = "\N{EM DASH} "
Key = tuple[str, int, bytes]


class Fault(Exception):
    """The examination ends here."""

    def __init__(self, code: int, sentence: str, index: int | None = None) -> None:
        super().__init__(sentence)
        self.code, self.index = code, index


# --- Ed25519, RFC 8032 ----------------------------------------------------------------------------

Point = tuple[int, int, int, int]
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
NEUTRAL: Point = (0, 1, 1, 0)


def add(one: Point, two: Point) -> Point:
    a = (one[1] - one[0]) * (two[1] - two[0]) % P
    b = (one[1] + one[0]) * (two[1] + two[0]) % P
    c, d = 2 * one[3] * two[3] * D % P, 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    result = NEUTRAL
    while number:
        if number & 1:
            result = add(result, point)
        point, number = add(point, point), number >> 1
    return result


def point_of(y: int, sign: int) -> Point:
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("not a point of the curve")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def decode_point(data: bytes) -> Point:
    number = int.from_bytes(data, "little")
    return point_of(number & (1 << 255) - 1, number >> 255)


BASE = point_of(4 * pow(5, P - 2, P) % P, 0)


def holds_in_python(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is the key's over `message`, without any library."""
    s = int.from_bytes(signature[32:], "little")
    if len(public) != 32 or len(signature) != 64 or s >= L:
        return False
    try:
        key, commitment = decode_point(public), decode_point(signature[:32])
    except ValueError:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    left = times(s, BASE)
    right = add(commitment, times(int.from_bytes(digest, "little") % L, key))
    same_x = (left[0] * right[2] - right[0] * left[2]) % P == 0
    return same_x and (left[1] * right[2] - right[1] * left[2]) % P == 0


def holds(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is the key's over `message`."""
    if Ed25519PublicKey is None:
        return holds_in_python(public, signature, message)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


Ed25519PublicKey: Any = None
InvalidSignature: Any = ValueError
try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    pass


# --- records --------------------------------------------------------------------------------------


def canonical(value: object) -> bytes:
    """RFC 8785 without floats: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def refuse_constant(name: str) -> None:
    raise ValueError(name)


def read_record(line: bytes, previous: str | None) -> tuple[dict[str, Any], str]:
    """(payload, this_hash) of `{"payload":…,"prev_hash":…,"this_hash":"…"}`."""
    link = b',"prev_hash":' + (b"null" if previous is None else b'"%s"' % previous.encode())
    body, tail = line[:-80], line[-80:]
    framed = line.startswith(b'{"payload":') and tail.startswith(b',"this_hash":"')
    if not framed or not tail.endswith(b'"}'):
        raise Fault(NOT_CANONICAL, "not a record of this chain")
    if not body.endswith(link):
        raise Fault(BROKEN_LINK, "prev_hash is not the hash of the record before")
    this_hash = tail[14:-2].decode("ascii", "replace")
    if hashlib.sha256(body + b"}").hexdigest() != this_hash:
        raise Fault(BROKEN_LINK, "this_hash is not the hash of the record")
    text = body[11 : -len(link)]
    try:
        payload = json.loads(text.decode(), parse_constant=refuse_constant)
        if isinstance(payload, dict) and canonical(payload) == text:
            return payload, this_hash
    except (ValueError, RecursionError):
        pass
    raise Fault(NOT_CANONICAL, "the payload is not canonical JSON")


class Tree:
    """The Merkle tree of RFC 6962, as the roots of its full subtrees."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def append(self, line: bytes) -> None:
        node = hashlib.sha256(b"\x00" + line).digest()
        self.size = trailing = self.size + 1
        while trailing % 2 == 0:
            node = hashlib.sha256(b"\x01" + self.peaks.pop() + node).digest()
            trailing //= 2
        self.peaks.append(node)

    def root(self) -> bytes:
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = hashlib.sha256(b"\x01" + peak + root).digest()
        return root


class Numbers:
    """Every writer's numbers run from 1 without a gap; what a record notes as missing is known."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        self.ahead: dict[str, set[int]] = {}

    def add(self, payload: dict[str, Any]) -> str | None:
        """A sentence about a number that is missing or came twice."""
        if "seq" in payload:
            writer, seq = payload["writer"], payload["seq"]
            last, ahead = self.last.setdefault(writer, 0), self.ahead.setdefault(writer, set())
            if seq <= last or seq in ahead:
                return f"of {writer}'s numbers, {seq} came twice"
            ahead.add(seq)
            self.skip(writer, last)
        if payload.get("type") != "WriterGap":
            return None
        writer, kind, last = payload["subject"], payload["kind"], payload["last"]
        if kind == "missing" and "seq" not in payload:
            self.skip(writer, last)
        return f"{writer}'s numbers {payload['first']} to {last}: {kind}"

    def skip(self, writer: str, to: int) -> None:
        last = max(self.last.get(writer, 0), to)
        ahead = {each for each in self.ahead.get(writer, ()) if each > last}
        while last + 1 in ahead:
            last += 1
            ahead.remove(last)
        self.last[writer], self.ahead[writer] = last, ahead

    def missing(self) -> str | None:
        waiting = [writer for writer, ahead in self.ahead.items() if ahead]
        return f"of {waiting[0]}'s numbers, some are not in the chain" if waiting else None


# --- checkpoints: C2SP signed notes ---------------------------------------------------------------


def decode_base64(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("base64 that is not written as it should be")
    return data


class Note:
    """Three lines (origin, size, root), a blank line, signature lines. ValueError for all else."""

    def __init__(self, text: str) -> None:
        body, blank, lines = text.rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise ValueError("not a signed note")
        if any(letter < " " and letter != "\n" for letter in text):
            raise ValueError("control characters in a note")
        self.body = body + "\n"
        self.signatures = [self.read_signature(line) for line in lines[:-1].split("\n")]
        origin, size, root, *rest = self.body.split("\n")
        if rest != [""] or not origin.startswith(ORIGIN) or len(self.signatures) > 32:
            raise ValueError("not a checkpoint of this system")
        if not re.fullmatch("0|[1-9][0-9]*", size, re.ASCII):
            raise ValueError("a checkpoint without a size")
        self.origin, self.size, self.root = origin, int(size), decode_base64(root)
        if len(self.root) != 32:
            raise ValueError("a checkpoint without a root")

    @staticmethod
    def read_signature(line: str) -> tuple[str, bytes, bytes]:
        name, _, encoded = line.removeprefix(DASH).partition(" ")
        data = decode_base64(encoded)
        is_name = name and "+" not in name and not any(letter.isspace() for letter in name)
        if not line.startswith(DASH) or not is_name or len(data) <= 4:
            raise ValueError("not a signature line")
        return name, data[:4], data[4:]

    def verify(self, keys: list[Key]) -> list[tuple[Key, int | None]]:
        """(key, time) of every signature by one of `keys`; ValueError if one does not hold."""
        known = {(key[0], key_id(key)): key for key in keys}
        held: list[tuple[Key, int | None]] = []
        for name, ident, data in self.signatures:
            if key := known.get((name, ident)):
                held.append((key, self.verify_one(key, data)))
        return held

    def verify_one(self, key: Key, data: bytes) -> int | None:
        at, message = None, self.body.encode()
        if key[1] == TIMED:
            at, data = int.from_bytes(data[:8], "big"), data[8:]
            message = f"cosignature/v1\ntime {at}\n{self.body}".encode()
        if not holds(key[2], data, message):
            raise ValueError(f"the signature of {key[0]} does not hold")
        return at


def key_id(key: Key) -> bytes:
    return hashlib.sha256(f"{key[0]}\n".encode() + bytes([key[1]]) + key[2]).digest()[:4]


def read_notes(path: Path) -> tuple[list[Note], bool]:
    """(notes, whether the last one is torn). ValueError at bytes that belong to none."""
    data = path.read_bytes() if path.exists() else b""
    if b"\r" in data:
        raise ValueError(f"{path} has Windows line ends (CRLF)")
    notes, block, signed = [], b"", False
    for line in data.splitlines(keepends=True):
        if line == b"\n" and signed:
            notes.append(Note(block.decode()))
            block, signed = b"", False
            continue
        block, signed = block + line, line.startswith(DASH.encode())
        if len(block) > 8192:
            raise ValueError(f"{path} holds what is no checkpoint")
    try:
        return notes + ([Note(block.decode().rstrip("\n") + "\n")] if block else []), False
    except ValueError:
        return notes, True


def read_whole_notes(path: Path) -> list[Note]:
    notes, torn = read_notes(path)
    if torn:
        raise ValueError(f"{path} breaks off in the middle of a checkpoint")
    return notes


def read_one_note(path: Path) -> list[Note]:
    return [Note(path.read_text(encoding="utf-8"))] if path.exists() else []


# --- the orders inside the chain ------------------------------------------------------------------

# The fields of an envelope; those with a default are left out of a stream entry when empty.
REQUIRED = ["type", "id", "writer", "seq", "at", "session", "mode", "account", "config_pin"]
REQUIRED += ["code_digest", "fence", "data"]
OPTIONAL = ("correlation_id", "causation_id", "key_id", "signature")
# What somebody obeys because of who signed it, and the stream it is obeyed on.
OBEYED = {"OrderApproved": "kobe:orders", "KillCleared": "kobe:control"}


def is_forged(payload: dict[str, Any], keys: dict[str, bytes]) -> bool:
    """Whether an order or a clearing does not bear the signature of its writer's pinned key."""
    kind, message = payload.get("type"), payload.get("message")
    if OBEYED.get(str(kind)) != payload.get("stream", "") or message is None or not keys:
        return False
    try:
        fields = {name: message[name] for name in REQUIRED}
        fields |= {name: message.get(name, "") for name in OPTIONAL}
        signature, fields["signature"] = base64.b64decode(fields["signature"], validate=True), ""
        fields["seq"], fields["fence"] = int(fields["seq"]), int(fields["fence"])
        public = keys[fields["writer"]]
        named = hashlib.sha256(public).hexdigest()[:16] == fields["key_id"]
        return not (named and holds(public, signature, canonical(fields)))
    except (KeyError, TypeError, ValueError, AttributeError):
        return True


# --- the examination ------------------------------------------------------------------------------


class Examination:
    """One pass over the records, with the checkpoints in the order of their sizes."""

    def __init__(
        self,
        folder: Path,
        keys: dict[str, bytes],
        witnesses: list[Path],
        anchors: list[Path],
        as_of: float | None,
    ) -> None:
        self.folder, self.keys, self.as_of = folder, keys, as_of
        self.witnesses, self.anchors = witnesses, anchors
        self.tree, self.numbers, self.last = Tree(), Numbers(), ""
        self.origin, self.records, self.seconds = "", 0, 0
        self.found: dict[int, tuple[str, int | None]] = {}
        self.own: list[Key] = []
        self.witness_keys: list[Key] = []
        if "witness" in keys:
            self.witness_keys = [(WITNESS_NAME, TIMED, keys["witness"])]
        self.sealed = self.sealed_at = self.cosigned = self.witnessed_to = self.awaited = 0
        self.cosigned_sizes: set[int] = set()
        self.late: tuple[int, int] | None = None
        self.torn = False
        self.head: str | None = None

    def verdict(self) -> tuple[int, str, int | None]:
        """(exit code, sentence, record or None)."""
        try:
            self.run()
        except Fault as fault:
            return fault.code, str(fault), fault.index
        for code in GRAVITY:
            if code in self.found:
                sentence, index = self.found[code]
                return code, sentence, index
        return OK, "every record and every checkpoint verifies", None

    def tell(self, code: int, sentence: str, index: int | None = None) -> None:
        self.found.setdefault(code, (sentence, index))

    def run(self) -> None:
        notes, place = self.gather(), 0
        for index, line in enumerate(self.lines()):
            try:
                self.take(index, line)
            except (TypeError, KeyError, AttributeError) as error:
                raise Fault(NOT_CANONICAL, f"record {index}: {error!r}", index) from error
            except Fault as fault:
                raise Fault(fault.code, f"record {index}: {fault}", index) from fault
            while place < len(notes) and notes[place][1].size <= self.tree.size:
                self.check(*notes[place])
                place += 1
        self.end(notes[place] if place < len(notes) else None)

    def gather(self) -> list[tuple[str, Note]]:
        """Every checkpoint with whose it is; the witnesses' are read first, for they follow."""
        notes: list[tuple[str, Note]] = []
        try:
            for each in self.witnesses:
                notes += [("witness", note) for note in read_whole_notes(each / "witnessed.notes")]
                latest = read_one_note(each / "latest.note")
                notes += [("latest", note) for note in latest]
                self.witnessed_to = max([self.witnessed_to, *(note.size for note in latest)])
            notes += [("fresh", note) for note in read_one_note(self.folder / "fresh.note")]
            own, self.torn = read_notes(self.folder / "checkpoints.notes")
            for anchor in self.anchors:
                kept = read_whole_notes(anchor)
                if not kept:
                    raise ValueError(f"the anchor {anchor} holds no checkpoint: it proves nothing")
                notes += [("anchor", note) for note in kept]
        except ValueError as error:
            raise Fault(BAD_SIGNATURE, str(error)) from error
        return sorted([("own", note) for note in own] + notes, key=lambda item: item[1].size)

    def lines(self) -> Any:
        files = sorted(self.folder.glob("*.jsonl"))
        if not files:
            raise SystemExit(f"There is no audit chain in {self.folder}.")
        for file in files:
            with file.open("rb") as handle:
                for line in handle:
                    if line.endswith(b"\n"):
                        yield line[:-1]
                    elif file == files[-1]:
                        self.torn = True
                    else:
                        raise Fault(BROKEN_LINK, f"{file.name} ends in the middle of a record")

    # --- one record -------------------------------------------------------------------------------

    def take(self, index: int, line: bytes) -> None:
        payload, this_hash = read_record(line, self.head)
        self.last = payload.get("type", "")
        if index == 0:
            self.begin(payload)
        if self.last == "Sealed" or (index and index == self.sealed):
            self.name(payload, index)
        if is_forged(payload, self.keys):
            self.tell(BAD_SIGNATURE, f"{self.last} at record {index} is forged", index)
        if gap := self.numbers.add(payload):
            self.tell(WRITER_GAP, gap, index)
        if "stream" in payload:
            hash(payload["stream"])
            payload["entry_id"]
        self.head = this_hash
        self.tree.append(line)

    def begin(self, payload: dict[str, Any]) -> None:
        if payload.get("type") != "Genesis":
            raise Fault(TRUNCATED, "it is not the genesis: the chain's beginning is missing")
        try:
            public = bytes.fromhex(payload["auditor_key"]["public"])
            self.records, self.seconds = (
                payload["cadence"]["records"],
                payload["cadence"]["seconds"],
            )
            if type(self.records) is not int or type(self.seconds) is not int:
                raise TypeError("no number")
        except (KeyError, TypeError, ValueError) as error:
            raise Fault(NOT_CANONICAL, "the genesis names no key or no cadence") from error
        if self.keys.get("auditor", public) != public:
            raise Fault(BAD_SIGNATURE, "the chain was begun with another key than the pinned one")
        self.origin = ORIGIN + hashlib.sha256(canonical(payload)).hexdigest()[:16]
        self.own = [(self.origin, PLAIN, public), (self.origin, TIMED, public)]

    def name(self, payload: dict[str, Any], index: int) -> None:
        """The record after a checkpoint names it, and no other record names one."""
        named = (payload.get("type"), payload.get("size"), payload.get("root"))
        if named != ("Sealed", index, self.tree.root().hex()):
            raise Fault(REWRITTEN, "it does not name the checkpoint before it")
        if index != self.sealed:
            self.tell(UNSEALED, f"the checkpoint over {index} records is missing")
        claimed = payload.get("cosigned", 0)
        if self.witnesses and claimed and claimed not in self.cosigned_sizes:
            self.tell(NOT_COSIGNED, f"the witness's note over {claimed} records is gone")

    # --- checkpoints ------------------------------------------------------------------------------

    def check(self, source: str, note: Note) -> None:
        own_times, witness_times = self.times_of(source, note)
        where = note.size - 1
        if note.size < self.tree.size or (source == "own" and note.size == self.sealed):
            raise Fault(REWRITTEN, f"the checkpoint over {note.size} is out of order", where)
        if note.root != self.tree.root():
            raise Fault(REWRITTEN, f"the first {note.size} records are not those signed", where)
        if source == "own":
            self.require_witnessed()
            if note.size - self.sealed > self.records:
                self.tell(UNSEALED, f"no checkpoint between {self.sealed} and {note.size}")
            self.sealed = note.size
            if note.size <= self.witnessed_to:
                self.awaited = note.size
            elif self.late is None:
                self.late = (note.size, max(own_times))
        elif note.size != self.sealed:
            self.tell(UNSEALED, f"the checkpoint over {note.size} is gone from the folder")
        if source in ("own", "fresh"):
            self.sealed_at = max(self.sealed_at, *own_times)
        if source == "witness":
            self.awaited = 0
        if witness_times:
            self.cosigned = max(self.cosigned, note.size)
            self.cosigned_sizes.add(note.size)

    def require_witnessed(self) -> None:
        """A witness signs every checkpoint up to its newest."""
        if self.awaited:
            self.tell(NOT_COSIGNED, f"the witness's note over {self.awaited} records is gone")

    def times_of(self, source: str, note: Note) -> tuple[list[int], list[int]]:
        """(the auditor's, the witnesses') times under a note that is signed as it must be."""
        where = note.size - 1
        try:
            held = note.verify(self.own + self.witness_keys)
        except ValueError as error:
            raise Fault(BAD_SIGNATURE, str(error), where) from error
        if note.origin != self.origin:
            raise Fault(REWRITTEN, f"the checkpoint over {note.size} is of another chain", where)
        kinds = {key[1] for key, _ in held if key in self.own}
        witnessed = [at or 0 for key, at in held if key in self.witness_keys]
        kept_apart = source == "anchor"
        lacks_own = not kept_apart and kinds != {PLAIN, TIMED}
        strange = not kept_apart and len({key for key, _ in held}) < len(note.signatures)
        if lacks_own or strange or not held or (source in ("witness", "latest") and not witnessed):
            raise Fault(BAD_SIGNATURE, f"the checkpoint over {note.size} is not signed", where)
        return [at for key, at in held if key in self.own and at is not None], witnessed

    # --- the end ----------------------------------------------------------------------------------

    def end(self, left: tuple[str, Note] | None) -> None:
        self.require_witnessed()
        if self.tree.size == 0:
            raise Fault(TRUNCATED, "there is no record: not even the genesis is left", 0)
        if left:
            self.times_of(*left)
            size = self.tree.size
            raise Fault(TRUNCATED, f"a checkpoint covers {left[1].size} records, not {size}", size)
        if any((each / "refusal.txt").exists() for each in self.witnesses):
            raise Fault(REWRITTEN, "a witness refuses to countersign this chain")
        if gap := self.numbers.missing():
            self.tell(WRITER_GAP, gap)
        if self.sealed == 0 or self.tree.size - self.sealed > self.records:
            self.tell(UNSEALED, f"no checkpoint covers the records after {self.sealed}")
        self.judge_times()
        if "auditor" not in self.keys:
            self.tell(KEY_NOT_PINNED, "key NOT pinned: give --keys")
        if self.torn:
            self.tell(TORN_TAIL, "the end is torn; every whole record verifies")

    def judge_times(self) -> None:
        """A chain that says where it was stopped need not reach up to now, nor its witness."""
        stopped = self.last == "Stopped" and self.sealed == self.tree.size
        now = self.sealed_at if self.as_of is None else self.as_of
        age, bound = now - self.sealed_at, max(3 * self.seconds, 300)
        if age < -bound or (age > bound and not stopped):
            self.tell(STALE, f"the newest checkpoint is {age:.0f} s old, and no stop is recorded")
        asked = self.sealed_at if stopped else now
        is_late = self.late is not None and asked - self.late[1] > WITNESS_SECONDS
        if self.witnesses and (not self.cosigned or not self.witnessed_to or is_late):
            self.tell(NOT_COSIGNED, "no witness vouches for the newest checkpoints")


def read_public_keys(path: Path) -> dict[str, bytes]:
    """Owner -> raw key, from the file that every service of a stack has beside its own key."""
    return {each["owner"]: decode_base64(each["public"]) for each in json.loads(path.read_bytes())}


def main() -> int:
    """Print one sentence; the exit code says which."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keys", type=Path, help="public_keys.json, kept apart from the chain")
    parser.add_argument("--witness", type=Path, action="append", default=[], help="its folder")
    parser.add_argument("--anchor", type=Path, action="append", default=[], help="notes kept apart")
    parser.add_argument("--as-of", type=dt.datetime.fromisoformat, help="default: now")
    asked = parser.parse_args()
    now = asked.as_of or dt.datetime.now(dt.UTC)  # noqa: TID251 - stands without our clock
    keys = read_public_keys(asked.keys) if asked.keys else {}
    examination = Examination(asked.folder, keys, asked.witness, asked.anchor, now.timestamp())
    code, sentence, index = examination.verdict()
    where = "" if index is None else f" (record {index})"
    print(f"{examination.tree.size} records: {sentence}{where}")
    return code


if __name__ == "__main__":
    sys.exit(main())
