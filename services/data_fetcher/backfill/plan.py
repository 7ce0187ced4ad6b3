"""What a fetch has to ask.

The same request makes the same units, so that a killed one can go on where it was.

Called by the fetch commands, its queue jobs among them. It asks nobody and knows no clock.
"""

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import msgspec

from shared.domain.market.adjustment import Basis
from shared.domain.market.sessions import sessions_between

SYMBOLS_TOGETHER = 20
"""Symbols in a unit of bars: some calls' worth of work to lose, and progress one can watch."""
ACTIONS_TOGETHER = 100
SESSIONS_TOGETHER = 5
SHORT = 60
"""Sessions up to which many symbols are asked for by session.

A vendor may have all of one in a call.
"""
AHEAD = dt.timedelta(days=60)
"""Splits are announced weeks before: the archive knows them when they come."""


class BarsUnit(msgspec.Struct, frozen=True, tag="bars"):
    """Bars of these symbols, both dates included."""

    symbols: tuple[str, ...]
    start: dt.date
    end: dt.date


class ActionsUnit(msgspec.Struct, frozen=True, tag="actions"):
    """Splits and dividends of these symbols, both dates included."""

    symbols: tuple[str, ...]
    start: dt.date
    end: dt.date


Unit: TypeAlias = BarsUnit | ActionsUnit


class FetchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which bars, of which vendor.

    Symbols in their order make another archive than in another order.
    """

    vendor: str
    symbols: tuple[str, ...]
    start: dt.date
    end: dt.date
    basis: Basis = Basis.RAW

    @property
    def source(self) -> str:
        """What the archive is made from (see source_key)."""
        asked = self.vendor if self.basis is Basis.RAW else f"{self.vendor}, {self.basis}"
        return source_key(asked, "", self.symbols)

    @property
    def key(self) -> str:
        """What tells this request's leftovers from another's."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


def source_key(vendor: str, holds: str, symbols: Sequence[str]) -> str:
    """What an archive was made from. `holds` digests what the vendor has at hand ("" on a network).

    Another vendor, universe or file is another archive.
    """
    return hashlib.sha256("|".join((vendor, holds, *symbols)).encode()).hexdigest()


def units_of(request: FetchRequest, *, with_actions: bool) -> list[Unit]:
    """Everything to ask, in the order in which it is asked."""
    sessions = sessions_between(request.start, request.end).tolist()
    if len(sessions) <= SHORT and len(sessions) < len(request.symbols):
        bars = _by_session(request.symbols, sessions)
    else:
        bars = _by_symbol(request)
    if not with_actions:
        return [*bars]
    last = request.end + AHEAD
    actions = [
        ActionsUnit(tuple(symbols), request.start, last)
        for symbols in _chunks(request.symbols, ACTIONS_TOGETHER)
    ]
    return [*bars, *actions]


def _by_session(symbols: Sequence[str], sessions: Sequence[dt.date]) -> list[BarsUnit]:
    return [
        BarsUnit(tuple(symbols), days[0], days[-1]) for days in _chunks(sessions, SESSIONS_TOGETHER)
    ]


def _by_symbol(request: FetchRequest) -> list[BarsUnit]:
    return [
        BarsUnit(tuple(symbols), request.start, request.end)
        for symbols in _chunks(request.symbols, SYMBOLS_TOGETHER)
    ]


ItemT = TypeVar("ItemT")


def _chunks(items: Sequence[ItemT], size: int) -> list[Sequence[ItemT]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
