"""What an examination of the chain may find, each with its exit code, and the verdict."""

import datetime as dt
from enum import IntEnum

import msgspec


class ChainFinding(IntEnum):
    """The exit codes of `kobe audit verify`. docs/audit.md says what each means and what to do."""

    OK = 0
    BROKEN_LINK = 3
    TRUNCATED = 4
    REWRITTEN = 5
    BAD_SIGNATURE = 6
    NOT_CANONICAL = 7
    WRITER_GAP = 8
    TORN_TAIL = 9
    KEY_NOT_PINNED = 10
    STALE = 11
    UNSEALED = 12
    NOT_COSIGNED = 13


# What is found while every record holds together; of several the gravest is told.
GRAVITY = (
    ChainFinding.BAD_SIGNATURE,
    ChainFinding.UNSEALED,
    ChainFinding.NOT_COSIGNED,
    ChainFinding.WRITER_GAP,
    ChainFinding.STALE,
    ChainFinding.KEY_NOT_PINNED,
    ChainFinding.TORN_TAIL,
)


# These say nothing against the records that are there.
HARMLESS = {
    ChainFinding.BAD_SIGNATURE,
    ChainFinding.WRITER_GAP,
    ChainFinding.STALE,
    ChainFinding.TORN_TAIL,
}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`index` is the record (from 0) at which the finding lies, where it has one.

    Of the `height` records `sealed` stand under a checkpoint that was checked, and `cosigned` under
    a witness's; `sealed_at` is the newest time that the auditor signed. `signatures` counts the
    messages whose own signature was checked. `is_proof` says that the records are those that the
    pinned key signed, whatever else is amiss (a writer's gap, a forged message, an old copy).
    """

    exit_code: int
    sentence: str
    height: int
    head: str | None
    checkpoints: int
    index: int | None = None
    sealed: int = 0
    sealed_at: dt.datetime | None = None
    cosigned: int = 0
    signatures: int = 0

    is_proof: bool = False

    @property
    def valid(self) -> bool:
        return self.exit_code == ChainFinding.OK


class ChainFault(Exception):
    """The examination ends here: what follows cannot be judged."""

    def __init__(self, finding: ChainFinding, sentence: str, index: int | None = None) -> None:
        super().__init__(sentence)
        self.finding, self.index = finding, index
