"""What the gate remembers: its book, and the scans it is still gathering or half through deciding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from shared.domain.book import Book
from shared.domain.sizing import Sizing
from shared.rules.registry import Rule
from shared.schemas.values import Exit, Mode, Phase, Quote, ScanRef, Signal, Value

REMEMBERED_SCANS = 32


class Gathering(Value, frozen=True, kw_only=True):
    """One scan on its way: parts heard so far, and after the exits were decided what is still to be done."""

    scan: ScanRef
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
        return 0 < self.parts == len(self.heard) and 0 < self.quote_parts == len(self.quotes_heard)


class State(Value, frozen=True, kw_only=True):
    """`executions_seq` is the last of the executor's messages that was counted."""

    book: Book = Book()
    scans: dict[str, Gathering] = {}
    decided: tuple[str, ...] = ()
    executions_seq: int = 0


@dataclass(frozen=True, slots=True)
class GateSettings:
    """`replay`: quotes and market hours are judged at the slot's time, not at the wall's."""

    mode: Mode
    account: str
    config_pin: str
    rules: tuple[Rule, ...]
    sizing: Sizing
    rank: tuple[str, ...]
    entry_ttl_seconds: int = 15
    exit_ttl_seconds: int = 300
    replay: bool = False
    daily_budget: Decimal = Decimal(0)
    breached: Callable[[Book], str] = field(default=lambda _: "")
