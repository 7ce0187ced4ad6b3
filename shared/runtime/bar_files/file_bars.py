"""What is asked of the reader of files, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Panel
from shared.domain.market.jumps import Jump
from shared.domain.market.refusals import BarDefect, RefusedBar
from shared.schemas.corporate_actions import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How a person wants files read. `symbols` limits what is read; empty means all.

    `accept_flawed` leaves out what would stop: bad bars, bad files, jumps. `splits` adjust raw
    prices; `basis` states what the prices are where the files do not say.
    """

    accept_flawed: bool = False
    splits: tuple[Split, ...] = ()
    basis: Basis | None = None
    symbols: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class FileBars:
    """What was read. `refused` counts by reason.

    `refusals` are the first of them, with file and row.

    `offered` are all symbols there, read or not. `jumps` are split-like jumps that remain,
    `left_out` files that were not read.
    """

    label: str
    offered: tuple[str, ...]
    layouts: tuple[str, ...]
    panel: Panel
    basis: Basis
    refused: Mapping[str, int]
    refusals: tuple[RefusedBar, ...]
    jumps: tuple[Jump, ...]
    left_out: tuple[str, ...]
    is_guessed: bool
    objections: tuple[str, ...]
    """What would have stopped, had it not been accepted; a sentence each."""

    @property
    def summary(self) -> str:
        """Such as `prices.csv.

        Polygon flat file, 2 symbols, 2016-03-14 to 2018-12-20, unadjusted`.
        """
        symbols = self.panel.symbols
        names = symbols[0] if len(symbols) == 1 else f"{len(symbols)} symbols"
        first, last = self.panel.sessions[0], self.panel.sessions[-1]
        parts = [" and ".join(self.layouts), names, f"{first} to {last}", self.basis_words]
        if self.refused:
            parts.append(f"{reason_counts(self.refused)} refused")
        return f"{self.label}: {', '.join(parts)}"

    @property
    def basis_words(self) -> str:
        return f"by its looks {self.basis}" if self.is_guessed else str(self.basis)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know besides, a sentence each."""
        jumps = [f"{jump}; no split is known." for jump in self.jumps]
        left_out = [f"{name} was left out." for name in self.left_out]
        return (*left_out, *jumps)


def accept_or_raise(objection: str, options: ReadOptions) -> tuple[str, ...]:
    """The objection as one that was accepted, if there is one.

    Raises UserError with it if flaws are not accepted.
    """
    if objection and not options.accept_flawed:
        raise UserError(objection)
    return (objection,) if objection else ()


def reason_counts(reasons: Mapping[BarDefect, int] | Mapping[str, int]) -> str:
    """Such as `2 high below low, 1 not a number`."""
    return ", ".join(f"{number} {words(str(reason))}" for reason, number in reasons.items())


def words(reason: str) -> str:
    return reason.replace("_", " ")
