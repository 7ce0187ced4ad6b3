"""Whether the auditor may go on with the chain it finds: the disk against all who remember it.

Called by the recorder once it holds the lease, before anything is written. Absence of evidence is
never evidence: a memory that is gone is recorded, and a chain that nobody remembers is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from services.auditor.chain.journal import ChainJournal
from services.auditor.chain.memory import REPAIR, Remembered
from services.auditor.chain.witness_files import Cosignature
from shared.domain.errors import InvariantBroken
from shared.runtime.bus.protocol import Fields

AUDITOR, REDIS, WITNESS = "the auditor's volume", "Redis", "the witness"
ADOPT = (
    "If it comes from a backup, check it with `kobe audit verify` before you put it back; "
    "else begin anew with an empty folder."
)


@dataclass(frozen=True, slots=True)
class PublishedChain:
    """What Redis remembers: heights are published only when the records are synced."""

    height: int
    head: str
    sealed: int

    @classmethod
    def of(cls, fields: Fields) -> PublishedChain | None:
        """Of the auditor's state hash; None if it says nothing of a chain."""
        if "height" not in fields:
            return None
        return cls(
            json.loads(fields["height"]),
            json.loads(fields.get("head", '""')) or "",
            json.loads(fields.get("sealed", "0")),
        )


def memories_of_witnesses(found: Sequence[Cosignature]) -> list[Remembered]:
    return [
        Remembered(f"the witness {each.name}", each.checkpoint.size, root=each.checkpoint.root)
        for each in found
    ]


def require_published(journal: ChainJournal, published: PublishedChain) -> None:
    """Raises InvariantBroken if Redis remembers records or checkpoints that are not on disk."""
    if published.height > journal.height:
        lost = f"{published.height} records are remembered by Redis, but {journal.height} are there"
        raise InvariantBroken(f"{lost}: the chain was cut, or an older copy was put back. {REPAIR}")
    if published.height and journal.hash_at(published.height) != published.head:
        raise InvariantBroken(
            f"the first {published.height} records are not those that Redis remembers: "
            f"the chain was rewritten. {REPAIR}"
        )
    if published.sealed > journal.sealed_size:
        lost = f"the checkpoint over {published.sealed} records is gone"
        raise InvariantBroken(f"{lost}: the checkpoints were cut. {REPAIR}")


def missing_memories(
    journal: ChainJournal, published: PublishedChain | None, witnessed: Sequence[Cosignature]
) -> list[str]:
    """Who should remember this chain and does not.

    Raises InvariantBroken if nobody does.
    """
    if journal.height <= 1:
        return []
    own = journal.memory if journal.memory and journal.memory.position.height else None
    if own is None and published is None and not witnessed:
        raise InvariantBroken(
            f"nobody remembers the {journal.height} records in {journal.folder}: {AUDITOR} and "
            f"Redis are empty, and no witness vouches for it. {ADOPT}"
        )
    known = (
        (AUDITOR, own is not None),
        (REDIS, published is not None),
        (WITNESS, bool(witnessed) or own is None or own.cosigned == 0),
    )
    return [name for name, is_there in known if not is_there]
