"""C2SP signed notes: a text, a blank line, and one line for each signature over the text. Pure.

Formats: https://c2sp.org/signed-note and https://c2sp.org/tlog-cosignature (timestamped Ed25519).
Used for checkpoints by the recorder, the witnesses and whoever verifies.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.runtime.signing import Signer

DASH = "\N{EM DASH} "
# Verifiers must accept 16 (signed-note); more than a log and a full quorum is an attempt to tire
# us.
MOST_SIGNATURES = 32
_KEY_ID_BYTES = 4
_TIME_BYTES = 8
_KEY_BYTES = 32


class Algorithm(IntEnum):
    """The signature types of signed-note that are read here."""

    ED25519 = 1
    COSIGNATURE = 4


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key under the name and the algorithm it signs notes with."""

    name: str
    algorithm: Algorithm
    public: bytes

    @property
    def key_id(self) -> bytes:
        head = f"{self.name}\n".encode() + bytes([self.algorithm])
        return hashlib.sha256(head + self.public).digest()[:_KEY_ID_BYTES]

    def vkey(self) -> str:
        """The verifier key as other tools take it: `name+id+key`."""
        encoded = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


def read_vkey(text: str) -> NoteKey:
    """Raises ValueError if it is not the verifier key of one of our algorithms."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    data = base64.b64decode(encoded, validate=True)
    if not _is_name(name) or len(data) != 1 + _KEY_BYTES:
        raise ValueError("not a verifier key (name+id+key) of an Ed25519 key")
    key = NoteKey(name, Algorithm(data[0]), data[1:])
    if key.key_id.hex() != key_id:
        raise ValueError(f"the verifier key of {name} does not have the id {key_id}")
    return key


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: `data` is what follows the key id."""

    name: str
    key_id: bytes
    data: bytes

    def line(self) -> str:
        return f"{DASH}{self.name} {base64.b64encode(self.key_id + self.data).decode()}\n"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """`body` ends with a newline; it is what the signatures cover."""

    body: str
    signatures: tuple[NoteSignature, ...]

    def text(self) -> str:
        return f"{self.body}\n{''.join(each.line() for each in self.signatures)}"

    def with_signatures(self, more: Iterable[NoteSignature]) -> SignedNote:
        return SignedNote(self.body, (*self.signatures, *more))


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that holds; `at` is its POSIX time where it carries one."""

    key: NoteKey
    at: int | None


def read_note(text: str) -> SignedNote:
    """Raises ValueError for anything that is not a signed note, byte for byte."""
    body, blank, lines = text.rpartition("\n\n")
    if not blank or not body or not lines.endswith("\n"):
        raise ValueError("a signed note is a text, a blank line and signature lines")
    if any(ord(letter) < ord(" ") and letter != "\n" for letter in text):
        raise ValueError("a signed note holds no control characters")
    signatures = tuple(_read_signature(line) for line in lines[:-1].split("\n"))
    if len(signatures) > MOST_SIGNATURES:
        raise ValueError(f"{len(signatures)} signatures are more than a note may carry")
    return SignedNote(f"{body}\n", signatures)


def _read_signature(line: str) -> NoteSignature:
    if not line.startswith(DASH):
        raise ValueError(f"not a signature line: {line[:40]!r}")
    name, _, encoded = line.removeprefix(DASH).partition(" ")
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not a signature line: {line[:40]!r}") from error
    canonical = base64.b64encode(data).decode() == encoded
    if not _is_name(name) or len(data) <= _KEY_ID_BYTES or not canonical:
        raise ValueError(f"not a signature line: {line[:40]!r}")
    return NoteSignature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(letter.isspace() for letter in name)


def sign(signer: Signer, name: str, body: str) -> NoteSignature:
    """The plain Ed25519 signature of a log."""
    key = NoteKey(name, Algorithm.ED25519, signer.public)
    return NoteSignature(name, key.key_id, signer.sign_bytes(body.encode()))


def cosign(signer: Signer, name: str, body: str, at: int) -> NoteSignature:
    """The timestamped signature: as of `at` (POSIX seconds) no larger tree was seen."""
    key = NoteKey(name, Algorithm.COSIGNATURE, signer.public)
    signature = signer.sign_bytes(_message_with_time(body, at))
    return NoteSignature(name, key.key_id, at.to_bytes(_TIME_BYTES, "big") + signature)


def _message_with_time(body: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{body}".encode()


def verify(note: SignedNote, keys: Iterable[NoteKey]) -> list[VerifiedSignature]:
    """The signatures of `keys` that stand under the note; those of other keys are ignored.

    Raises ValueError if one that names a key of ours does not hold: then the whole note is bad.
    """
    known = {(key.name, key.key_id): key for key in keys}
    return [
        _verify_one(note.body, each, key)
        for each in note.signatures
        if (key := known.get((each.name, each.key_id)))
    ]


def _verify_one(body: str, signature: NoteSignature, key: NoteKey) -> VerifiedSignature:
    data, message, at = signature.data, body.encode(), None
    if key.algorithm is Algorithm.COSIGNATURE:
        at, data = int.from_bytes(data[:_TIME_BYTES], "big"), data[_TIME_BYTES:]
        message = _message_with_time(body, at)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(data, message)
    except (InvalidSignature, ValueError) as error:
        raise ValueError(f"the signature of {key.name} does not hold") from error
    return VerifiedSignature(key, at)
