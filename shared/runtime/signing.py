"""Ed25519 over envelopes: the gate signs with a key only it has; readers pin public keys.

Called by the gate and the auditor (sign), the executor (verify). It never signs or checks parts of
an envelope.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from shared.domain.errors import InvalidMessage, UserError
from shared.schemas.envelope import Envelope, bytes_to_sign

UNUSABLE_KEY = 2


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `public_keys.json`; `public` is the raw key in base64."""

    owner: str
    key_id: str
    public: str


def key_id_of(public: bytes) -> str:
    """The first 16 hex digits of the sha256 of the raw public key."""
    return hashlib.sha256(public).hexdigest()[:16]


class Signer:
    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = key_id_of(self.public)

    @classmethod
    def generate(cls) -> Signer:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> Signer:
        """Raises UserError if there is no key of ours in the file."""
        try:
            return cls(
                Ed25519PrivateKey.from_private_bytes(
                    base64.b64decode(path.read_text().strip(), validate=True)
                )
            )
        except OSError as error:
            raise UserError(
                f"The signing key {path} cannot be read: {error.strerror}.", exit_code=UNUSABLE_KEY
            ) from error
        except ValueError as error:
            raise UserError(
                f"The signing key {path} is not an Ed25519 key.", exit_code=UNUSABLE_KEY
            ) from error

    def private_text(self) -> str:
        """What `load` reads: the raw key in base64."""
        return base64.b64encode(
            self._key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        ).decode()

    def public_key(self, owner: str) -> PublicKey:
        return PublicKey(
            owner=owner, key_id=self.key_id, public=base64.b64encode(self.public).decode()
        )

    def sign_bytes(self, data: bytes) -> bytes:
        return self._key.sign(data)

    def sign(self, envelope: Envelope) -> Envelope:
        """The same envelope with `key_id` and `signature` (base64) filled in."""
        named = msgspec.structs.replace(envelope, key_id=self.key_id, signature="")
        signature = base64.b64encode(self._key.sign(bytes_to_sign(named))).decode()
        return msgspec.structs.replace(named, signature=signature)


@dataclass(frozen=True, slots=True)
class Keyring:
    """Pinned public keys by id, each with the one writer it belongs to."""

    owners: Mapping[str, str]
    keys: Mapping[str, Ed25519PublicKey]

    @classmethod
    def of(cls, public_keys: list[PublicKey]) -> Keyring:
        """Raises ValueError for a key whose id is not its own."""
        keys = {}
        for entry in public_keys:
            raw = base64.b64decode(entry.public, validate=True)
            if key_id_of(raw) != entry.key_id:
                raise ValueError(f"key {entry.key_id} of {entry.owner} does not have that id")
            keys[entry.key_id] = Ed25519PublicKey.from_public_bytes(raw)
        return cls({entry.key_id: entry.owner for entry in public_keys}, keys)

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Raises UserError if the file is absent or not ours."""
        try:
            return cls.of(msgspec.json.decode(path.read_bytes(), type=list[PublicKey]))
        except OSError as error:
            raise UserError(
                f"The public keys {path} cannot be read: {error.strerror}.", exit_code=UNUSABLE_KEY
            ) from error
        except (ValueError, msgspec.MsgspecError) as error:
            raise UserError(
                f"The public keys {path} are not usable: {error}.", exit_code=UNUSABLE_KEY
            ) from error

    def verify(self, envelope: Envelope) -> None:
        """Raises InvalidMessage unless the writer itself signed exactly these fields."""
        if not envelope.signature or not envelope.key_id:
            raise InvalidMessage("the signature is missing")
        key = self.keys.get(envelope.key_id)
        if key is None:
            raise InvalidMessage(f"the signing key {envelope.key_id!r} is unknown")
        if self.owners[envelope.key_id] != envelope.writer.value:
            raise InvalidMessage(
                f"the key of {self.owners[envelope.key_id]} does not speak for {envelope.writer}"
            )
        try:
            key.verify(base64.b64decode(envelope.signature, validate=True), bytes_to_sign(envelope))
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise InvalidMessage("the signature does not fit the message") from error
