"""What the gate remembers: its book, and the scans it gathers or has half decided; its settings."""

import datetime as dt
from dataclasses import dataclass

from shared.domain.risk.book import Book
from shared.domain.risk.sizing import Sizing
from shared.rules.judge import Rule
from shared.runtime.runner.contract import Context
from shared.schemas.values import (
    Exit,
    MarketView,
    Mode,
    Phase,
    Quote,
    Reason,
    ScanRef,
    Signal,
    Value,
)

REMEMBERED_SCANS = 32
"""Decided scans kept, so that a late repeat is ignored: several sessions of slots."""
MAX_SCANS_AHEAD = 4
"""Scans that may arrive before the schedule names them: streams are read one after another."""


class Gathering(Value, frozen=True, kw_only=True):
    """One scan on its way: its parts so far; once decided, the phase whose execution it awaits.

    `due`: the schedule has named it, so that `ref` is the scheduler's. `fresh`: its quotes are
    asked for a second time.
    """

    ref: ScanRef
    due: bool = False
    parts: int = 0
    parts_heard: tuple[int, ...] = ()
    exits: tuple[Exit, ...] = ()
    signals: tuple[Signal, ...] = ()
    aborted: str = ""
    quote_parts: int = 0
    quote_parts_heard: tuple[int, ...] = ()
    quotes: tuple[Quote, ...] = ()
    fresh: bool = False
    same_pin: bool = True
    awaits: Phase | None = None

    @property
    def complete(self) -> bool:
        return (
            self.due
            and 0 < self.parts == len(self.parts_heard)
            and 0 < self.quote_parts == len(self.quote_parts_heard)
        )


class State(Value, frozen=True, kw_only=True):
    """`executions_seq` is the executor's last counted message; `decided` scans are over."""

    book: Book = Book()
    scans: dict[str, Gathering] = {}
    decided: tuple[str, ...] = ()
    executions_seq: int = 0
    universe: tuple[str, ...] = ()
    market: MarketView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """`rank` is the strategies' order. `replay`: business time is the slot's, not the wall's.

    `universe` names the symbols that may be entered; empty: those of the bars, at most
    `universe_maximum`.
    """

    mode: Mode
    account: str
    config_pin: str
    rules: tuple[Rule, ...]
    sizing: Sizing
    rank: tuple[str, ...]
    entry_ttl_seconds: int = 15
    exit_ttl_seconds: int = 300
    replay: bool = False
    universe: tuple[str, ...] = ()
    universe_maximum: int = 900

    @property
    def quote_lifetime(self) -> dt.timedelta:
        """How old a quote may be for an entry."""
        (rule,) = (rule for rule in self.rules if rule.reason is Reason.STALE_QUOTE)
        return dt.timedelta(seconds=rule.limits.maximum_age_seconds)


GateContext = Context[GateSettings]
