"""Asks a witness elsewhere to countersign the newest checkpoint, by C2SP tlog-witness over HTTP.

Called by `kobe audit cosign`. The witness sees sizes and hashes, no record; what it signs is kept
as an anchor that not even who holds this whole stack can make again.
"""

from pathlib import Path

import requests

from services.auditor.chain import signed_note
from services.auditor.chain.checkpoints import Checkpoint
from services.auditor.chain.signed_note import NoteKey, SignedNote
from services.auditor.evidence.consistency_proof import nodes_between, witness_request
from shared.domain.errors import TransientError, UserError

# A public witness answers within a second; a slow network may need a few.
TIMEOUT_SECONDS = 15.0
_OK, _CONFLICT = 200, 409
# tlog-witness: what a 409 answers with is the size it has seen.
_SIZE = "text/x.tlog.size"


def ask_witness(folder: Path, note: Checkpoint, url: str, key: NoteKey, old: int = 0) -> Checkpoint:
    """The checkpoint under the witness's signature; `old` is the size it has last signed.

    Raises UserError if it refuses or answers with a signature of another key, TransientError if it
    does not answer.
    """
    reply = _post(url, witness_request(note, old, nodes_between(folder, old, note.size)))
    if reply.status_code == _CONFLICT and reply.headers.get("content-type") == _SIZE:
        seen = _size_in_reply(reply.text, note.size)
        reply = _post(url, witness_request(note, seen, nodes_between(folder, seen, note.size)))
    if reply.status_code != _OK:
        raise UserError(
            f"The witness {url} does not countersign {note.size} records: "
            f"{reply.status_code} {reply.text.strip()[:200]}."
        )
    return _with_signature(note, reply.content, url, key)


def _post(url: str, body: str) -> requests.Response:
    try:
        return requests.post(
            f"{url.rstrip('/')}/add-checkpoint", data=body.encode(), timeout=TIMEOUT_SECONDS
        )
    except requests.RequestException as error:
        raise TransientError(f"the witness {url} does not answer: {error}") from error


def _size_in_reply(text: str, size: int) -> int:
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or int(digits) > size:
        raise UserError(
            f"The witness has seen {digits[:40]!r} records, and the chain has {size}: it was cut, "
            "or the witness follows another one."
        )
    return int(digits)


def _with_signature(note: Checkpoint, lines: bytes, url: str, key: NoteKey) -> Checkpoint:
    """Of what it answers only the pinned key's own signature is kept."""
    try:
        answered = signed_note.read_note(f"{note.note.body}\n{lines.decode()}")
        own = [
            each
            for each in answered.signatures
            if (each.name, each.key_id) == (key.name, key.key_id)
        ]
        held = signed_note.verify(SignedNote(note.note.body, tuple(own)), [key])
    except ValueError as error:
        raise UserError(f"The witness {url} answers what is no signature: {error}.") from error
    if not held:
        raise UserError(f"The witness {url} signs with another key than {key.name}'s.")
    return Checkpoint(note.origin, note.size, note.root, note.note.with_signatures(own))
