"""What the gate remembers (its book, the scans it is gathering or half through deciding) and what it is told."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.risk.book import Book
from shared.domain.risk.sizing import Sizing
from shared.rules.judge import Rule
from shared.runtime.runner.contract import Context
from shared.schemas.values import Exit, Mode, Phase, Quote, ScanRef, Signal, Value

REMEMBERED_SCANS = 32
MOST_PARTS = 16
MOST_AHEAD = 4
"""Parts of one scan, and scans heard before the schedule named them: a flood may fill no more memory than that."""


class Gathering(Value, frozen=True, kw_only=True):
    """One scan on its way: the parts heard so far; once decided, the phase whose execution it awaits.

    `due`: the schedule has named it, so that `scan` is the scheduler's word.
    """

    scan: ScanRef
    due: bool = False
    parts: int = 0
    heard: tuple[int, ...] = ()
    exits: tuple[Exit, ...] = ()
    signals: tuple[Signal, ...] = ()
    aborted: str = ""
    quote_parts: int = 0
    quotes_heard: tuple[int, ...] = ()
    quotes: tuple[Quote, ...] = ()
    same_pin: bool = True
    awaits: Phase | None = None

    @property
    def complete(self) -> bool:
        return (
            self.due
            and 0 < self.parts == len(self.heard)
            and 0 < self.quote_parts == len(self.quotes_heard)
        )


class State(Value, frozen=True, kw_only=True):
    """`executions_seq` is the last of the executor's messages that was counted; `decided` are scans that are over."""

    book: Book = Book()
    scans: dict[str, Gathering] = {}
    decided: tuple[str, ...] = ()
    executions_seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """`rank` is the strategies' order. `replay`: business time is the slot's, not the wall's."""

    mode: Mode
    account: str
    config_pin: str
    rules: tuple[Rule, ...]
    sizing: Sizing
    rank: tuple[str, ...]
    entry_ttl_seconds: int = 15
    exit_ttl_seconds: int = 300
    replay: bool = False


GateContext = Context[GateSettings]
