"""Every trial ever made on some bars: the more were made, the more luck the best of them had.

Kept by the command line beside the archive's state, one file for each state of the bars, one line a
trial. A trial is a parameter set with its terms and sessions; made again, it counts once. It judges
nothing by itself.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.research.engine import overfitting
from shared.domain.errors import UserError
from shared.schemas.json_types import JsonObject

FOLDER = "trials"
NAME_LENGTH = 20
"""Characters of a bars digest that name its file."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """`key` tells trials apart; `sharpe` is per session, not annualised; sessions are dates."""

    key: str
    kind: str
    run: str
    strategies: dict[str, JsonObject]
    terms: dict[str, str]
    first: str
    last: str
    sharpe: float


class Luck(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says of a run: trials and runs on these bars, and the Sharpe they deflate.

    `deflated_sharpe` by account or strategy; None where it cannot be computed.
    """

    trials: int
    runs: int
    deflated_sharpe: dict[str, float | None]

    @property
    def sentences(self) -> list[str]:
        """In words, one an account."""
        runs = f"{self.runs:,} run{'' if self.runs == 1 else 's'}"
        made = f"the {self.trials:,} trials ever made on these bars, in {runs}"
        return [
            f"{name}: deflated by {made}, its Sharpe ratio is {share:.0%} likely to be real."
            for name, share in self.deflated_sharpe.items()
            if share is not None
        ]


def trial(
    *,
    kind: str,
    run: str,
    strategies: dict[str, JsonObject],
    terms: dict[str, str],
    first: str,
    last: str,
    sharpe: float,
) -> Trial:
    """A trial with the key that its contents give it."""
    text = msgspec.json.encode([strategies, terms, first, last], order="sorted")
    key = hashlib.sha256(text).hexdigest()[:NAME_LENGTH]
    return Trial(
        key=key,
        kind=kind,
        run=run,
        strategies=strategies,
        terms=terms,
        first=first,
        last=last,
        sharpe=sharpe,
    )


class TrialLedger:
    """The trials on one state of the bars; `folder` is the state folder of this machine."""

    def __init__(self, folder: Path, bars_digest: str) -> None:
        self.file = folder / FOLDER / f"{bars_digest[:NAME_LENGTH]}.jsonl"

    def read(self) -> list[Trial]:
        """Oldest first, each once; a torn line (the disk was full) counts as none."""
        try:
            lines = self.file.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found: dict[str, Trial] = {}
        for line in lines:
            try:
                each = msgspec.json.decode(line, type=Trial)
            except msgspec.DecodeError:
                continue
            found.setdefault(each.key, each)
        return list(found.values())

    def add(self, trials: Iterable[Trial]) -> list[Trial]:
        """Write down those that are new; all there are then. Raises UserError if it cannot."""
        known = {each.key: each for each in self.read()}
        fresh = {each.key: each for each in trials if each.key not in known}
        if fresh:
            text = b"".join(msgspec.json.encode(each) + b"\n" for each in fresh.values())
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                with self.file.open("ab") as file:  # one write, so that lines stay whole
                    file.write(text)
            except OSError as error:
                raise UserError(
                    f"The trials could not be written to {self.file}: {error.strerror}."
                ) from error
        return [*known.values(), *fresh.values()]


def luck(trials: Iterable[Trial], returns: dict[str, NDArray[np.float64]]) -> Luck:
    """The ledger's verdict on the returns of each account, per session."""
    known = list(trials)
    sharpes = np.array([each.sharpe for each in known])
    return Luck(
        trials=len(known),
        runs=len({each.run for each in known}),
        deflated_sharpe={
            name: overfitting.deflated_sharpe(values, sharpes) for name, values in returns.items()
        },
    )


def sharpe_per_session(returns: NDArray[np.float64]) -> float:
    """0 without movement."""
    spread = float(returns.std(ddof=1)) if returns.size > 1 else 0.0
    return float(returns.mean()) / spread if spread > 0 else 0.0
