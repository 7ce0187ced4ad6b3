"""The bars a research run is made on: sample, archive, file or folder; the universe; the window of sessions.

Called by every research command and by queue workers. It reads bars and refuses what cannot be run;
it repairs none.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.research.data import remote_bars
from services.research.data.inputs import Inputs
from shared.domain.errors import UserError
from shared.domain.market.bars import Panel
from shared.domain.market.refusals import RefusedBar
from shared.domain.spelling import did_you_mean

SAMPLE, ARCHIVE = "sample", "archive"
INDEX = "SPY"
"""The symbol that serves as the benchmark where the bars have it, in the universe or not."""
DEFAULT_STATE = "state"
DEFAULT_ARCHIVE = "state/archive"
NAMED = 5


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """`digest` is that of all the bars, `refused` counts by reason, `source` names the bars without their folder."""

    panel: Panel
    digest: str
    refused: Mapping[str, int]
    source: str
    index: NDArray[np.float64] | None
    """Closes of INDEX over the panel's sessions, NaN where it did not trade."""


def open_market(inputs: Inputs, environ: Mapping[str, str]) -> Market:
    """The panel of the run's universe, symbols in order. UserError says what is missing or unreadable."""
    whole = _opened(inputs.bars, environ)
    if not inputs.symbols:
        return whole
    panel = whole.panel.select(known(whole.panel.symbols, inputs.symbols, whole.source))
    return Market(panel, whole.digest, whole.refused, whole.source, whole.index)


def known(available: Sequence[str], wanted: Collection[str], where: str) -> list[str]:
    """The wanted symbols in order; UserError names those that have no bars, and the nearest that do."""
    missing = sorted(set(wanted) - set(available))
    if not missing:
        return sorted(set(wanted))
    listed = ", ".join(missing[:NAMED]) + (
        f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    )
    raise UserError(f"The bars of {where} have no {listed}; {did_you_mean(missing[0], available)}")


def columns(panel: Panel, start: dt.date | None, end: dt.date | None) -> tuple[int, int]:
    """The first and last column of the sessions from `start` through `end`; UserError if there is none."""
    days = panel.sessions
    first = int(np.searchsorted(days, np.datetime64(start))) if start else 0
    last = (int(np.searchsorted(days, np.datetime64(end), side="right")) if end else days.size) - 1
    if first <= last:
        return first, last
    asked = f"{start or 'the beginning'} to {end or 'the end'}"
    raise UserError(f"There is no session from {asked}; the bars have {days[0]} to {days[-1]}.")


def _opened(bars: str, environ: Mapping[str, str]) -> Market:
    if bars == SAMPLE:
        return _sample()
    if bars == ARCHIVE:
        return _archive(Path(environ.get("KOBE_ARCHIVE_DIR") or DEFAULT_ARCHIVE))
    if remote_bars.is_url(bars):
        return _elsewhere(bars, Path(environ.get("KOBE_STATE_DIR") or DEFAULT_STATE) / "bars")
    return _files(Path(bars).expanduser())


def _elsewhere(url: str, cache: Path) -> Market:
    path = remote_bars.at_hand(url, cache)
    return _archive(path) if remote_bars.is_archive(path) else _files(path)


def _sample() -> Market:
    from shared.domain.market.bars import align
    from shared.domain.market.refusals import refuse_impossible
    from shared.runtime.archive import sample as sample_bars

    bars = sample_bars.sample_bars()
    good, refusals = refuse_impossible(bars)
    return _market(align(good), sample_bars.digest_of(bars), _counted(refusals), "the sample")


def _archive(folder: Path) -> Market:
    from shared.runtime.archive.archive import BarArchive

    archive = BarArchive.open(folder)
    return _market(archive.panel(), archive.digest(), dict(archive.refused), "the archive")


def _files(path: Path) -> Market:
    from shared.runtime.archive.bar_files import digest_of, load_bars

    panel, refusals = load_bars(path)
    return _market(panel, digest_of(path), _counted(refusals), path.name)


def _market(panel: Panel, digest: str, refused: Mapping[str, int], source: str) -> Market:
    if not panel.sessions.size:
        raise UserError(f"{source} holds no bars.")
    index = np.array(panel.close[panel.row(INDEX)]) if INDEX in panel.symbols else None
    return Market(panel, digest, dict(refused), source, index)


def _counted(refusals: Sequence[RefusedBar]) -> dict[str, int]:
    return dict(sorted(Counter(refusal.reason.value for refusal in refusals).items()))
