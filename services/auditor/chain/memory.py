"""What others remember of the chain: the auditor's own volume, Redis, the witnesses.

The disk must hold what each of them remembers, else the chain was cut, rewritten or put back. A
memory that is gone is never taken for a memory of nothing. Used when the auditor starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.auditor.chain.chain_state import ChainState
from services.auditor.chain.checkpoints import disk_full
from services.auditor.chain.merkle import Frontier
from services.auditor.chain.sequence_gaps import WriterSequences
from shared.domain.errors import InvariantBroken
from shared.runtime.atomic_file import write_file

MEMORY = "chain.json"


@dataclass(frozen=True, slots=True)
class Remembered:
    """The first `height` records end with the record hash `head`, and have the tree's `root`."""

    by: str
    height: int
    head: str | None = None
    root: bytes | None = None

    def require(self, state: ChainState) -> None:
        """Raises InvariantBroken unless the chain, counted so far, is the one remembered."""
        if (self.head is not None and self.head != state.head) or (
            self.root is not None and self.root != state.tree.root()
        ):
            raise InvariantBroken(
                f"the first {self.height} records are not those that {self.by} remembers: "
                f"the chain was rewritten. {REPAIR}"
            )


REPAIR = (
    "Put back the newest backup of the folder; "
    "`kobe audit verify` says what is wrong with the folder."
)


class ChainPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A chain counted up to `offset` bytes of `file`: enough to go on counting from there."""

    height: int = 0
    head: str | None = None
    file: str = ""
    offset: int = 0
    peaks: tuple[str, ...] = ()
    streams: dict[str, str] = {}
    writers: dict[str, list[int]] = {}

    @classmethod
    def of(cls, state: ChainState, file: str, offset: int) -> ChainPosition:
        return cls(
            height=state.height,
            head=state.head,
            file=file,
            offset=offset,
            peaks=tuple(peak.hex() for peak in state.tree.peaks),
            streams=dict(state.streams),
            writers=state.numbers.to_lists(),
        )

    def chain_state(self) -> ChainState:
        tree = Frontier(self.height, [bytes.fromhex(peak) for peak in self.peaks])
        return ChainState(tree, self.head, dict(self.streams), WriterSequences(self.writers))


class ChainMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What the auditor keeps on its own volume: where the last checkpoint stands.

    `cosigned` is the largest size it has seen a witness vouch for. A memory of height 0 says that a
    chain was about to be begun.
    """

    position: ChainPosition = ChainPosition()
    cosigned: int = 0

    def remembered(self) -> Remembered:
        state = self.position.chain_state()
        height = self.position.height
        return Remembered("the auditor", height, self.position.head, state.tree.root())


def load_memory(file: Path) -> ChainMemory | None:
    """None if there is no such file. Raises InvariantBroken if it is not whole."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=ChainMemory)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvariantBroken(f"{file} is not what the auditor wrote: {error}. {REPAIR}") from error


def save_memory(file: Path, memory: ChainMemory) -> None:
    """Durable when this returns. Raises TransientError if the disk does not take it."""
    try:
        write_file(file, msgspec.json.encode(memory))
    except OSError as error:
        raise disk_full(error) from error
