"""The keys that evidence is judged by: pinned outside of what is judged, never taken from it.

Read from the `public_keys.json` that the secrets job writes beside each service's own key, and from
verifier keys of foreign witnesses. Used by the auditor, the witness and whoever verifies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.auditor.chain.signed_note import Algorithm, NoteKey
from shared.domain.errors import UserError
from shared.runtime.signing import Keyring
from shared.schemas.streams import ServiceName

ORIGIN = "kobe81/audit"
AUDITOR = ServiceName.AUDITOR.value
WITNESS = "witness"
WITNESS_NAME = "kobe81/witness"


@dataclass(frozen=True, slots=True)
class Trust:
    """`auditor` is its raw public key, `witnesses` are cosigning keys, `keyring` the services'.

    Without `auditor` the chain's own word is taken, which proves less; a verdict says so.
    """

    auditor: bytes | None = None
    witnesses: tuple[NoteKey, ...] = ()
    keyring: Keyring | None = None
    quorum: int = field(default=1)

    def with_witnesses(self, more: Iterable[NoteKey], quorum: int) -> Trust:
        return Trust(self.auditor, (*self.witnesses, *more), self.keyring, quorum)


def load_public_keys(file: Path) -> dict[str, bytes]:
    """Owner -> raw public key, as pinned in a `public_keys.json`. Raises UserError."""
    keyring = Keyring.load(file)
    return _raw_keys(keyring)


def _raw_keys(keyring: Keyring) -> dict[str, bytes]:
    return {
        owner: keyring.keys[key_id].public_bytes_raw() for key_id, owner in keyring.owners.items()
    }


def load_trust(file: Path) -> Trust:
    """Raises UserError if the file is absent, unreadable or names no key of the auditor."""
    keyring = Keyring.load(file)
    keys = _raw_keys(keyring)
    if AUDITOR not in keys:
        raise UserError(f"{file} names no key of the auditor.")
    return Trust(keys[AUDITOR], witness_keys(keys), keyring)


def witness_keys(keys: Mapping[str, bytes]) -> tuple[NoteKey, ...]:
    """The stack's own witness, if it has a key."""
    key = keys.get(WITNESS)
    return (NoteKey(WITNESS_NAME, Algorithm.COSIGNATURE, key),) if key else ()


def load_public_key(file: Path, owner: str) -> bytes:
    """Raises UserError if the file names none for it."""
    if key := load_public_keys(file).get(owner):
        return key
    raise UserError(f"{file} names no key of the {owner}.")


def origin_of(chain_id: str) -> str:
    """The log's name in its checkpoints; the auditor's keys go by it too."""
    return f"{ORIGIN}/{chain_id}"


def auditor_keys(public: bytes, chain_id: str) -> tuple[NoteKey, NoteKey]:
    """The two forms in which the auditor signs a checkpoint: plain, and with the time."""
    origin = origin_of(chain_id)
    return (
        NoteKey(origin, Algorithm.ED25519, public),
        NoteKey(origin, Algorithm.COSIGNATURE, public),
    )
