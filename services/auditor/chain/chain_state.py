"""How far a chain has come, counted record by record: alike when writing, recovering, verifying.

`ChainState` is a function of the records alone, so what a crash or a lost position file took can be
counted again.
"""

from dataclasses import dataclass, field

from services.auditor.chain.merkle import Frontier, leaf_hash
from services.auditor.chain.record import NotCanonical
from services.auditor.chain.sequence_gaps import Gap, WriterSequences
from shared.schemas.json_types import JsonMapping

# The auditor's own records; all others hold a message as it stood on a stream.
GENESIS = "Genesis"
SEALED = "Sealed"
STOPPED = "Stopped"
RECOVERED = "Recovered"
MISSING = "EvidenceMissing"


@dataclass(slots=True)
class ChainState:
    """Grows in place. `streams`: the last entry read of each."""

    tree: Frontier = field(default_factory=Frontier.empty)
    head: str | None = None
    streams: dict[str, str] = field(default_factory=dict)
    numbers: WriterSequences = field(default_factory=WriterSequences)

    @property
    def height(self) -> int:
        return self.tree.size

    def add(self, payload: JsonMapping, line: bytes, this_hash: str) -> Gap | None:
        """Count one more record, given as its payload, its line without newline, and its hash.

        The gap is a number that came a second time. Raises NotCanonical for a record without its
        parts.
        """
        try:
            repeated = self.numbers.add(payload)
            if "stream" in payload:
                self.streams[payload["stream"]] = payload["entry_id"]
        except (KeyError, TypeError) as error:
            raise NotCanonical(f"a record without its parts ({error})") from error
        self.tree.append(leaf_hash(line))
        self.head = this_hash
        return repeated
