"""A record torn by a crash: cut from the chain's end, and kept aside for whoever wants to look.

Called by the journal after the chain was found to be the one remembered.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from services.auditor.chain.chain_state import RECOVERED
from shared.schemas.json_types import JsonObject

_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class TornTail:
    """Where it was, what it was, and where it is kept."""

    file: str
    offset: int
    size: int
    sha256: str
    kept_as: str

    def payload(self, at: str) -> JsonObject:
        facts = {
            "file": self.file,
            "offset": self.offset,
            "torn_bytes": self.size,
            "sha256": self.sha256,
        }
        return {"type": RECOVERED, "at": at, "kept_as": self.kept_as, **facts}


def set_aside(file: Path, offset: int) -> TornTail:
    """Move what lies behind `offset` into a file of its own beside it."""
    aside = file.with_name(f"{file.stem}.torn-{offset}")
    digest = hashlib.sha256()
    with file.open("r+b") as handle, aside.open("wb") as kept:
        handle.seek(offset)
        while piece := handle.read(_PIECE):
            kept.write(piece)
            digest.update(piece)
        kept.flush()
        os.fsync(kept.fileno())
        size = kept.tell()
        handle.truncate(offset)
        os.fsync(handle.fileno())
    return TornTail(file.name, offset, size, digest.hexdigest(), aside.name)
