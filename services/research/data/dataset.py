"""The bars a research run is made on: sample, archive, file or folder; the universe.

The window of sessions.

Called by every research command and by queue workers. It reads bars and refuses what cannot be run;
it repairs none.
"""

import datetime as dt
import hashlib
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.research.data import remote_bars
from services.research.data.inputs import Inputs
from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bar_check import BarsCheck, check_bars
from shared.domain.market.bars import Panel
from shared.domain.market.refusals import RefusedBar
from shared.domain.spelling import did_you_mean
from shared.schemas.corporate_actions import Split

SAMPLE, ARCHIVE = "sample", "archive"
INDEX = "SPY"
"""The symbol that serves as the benchmark where the bars have it, in the universe or not."""
DEFAULT_STATE = "state"
DEFAULT_ARCHIVE = "state/archive"
NAMED = 5
NO_JUMPS: Mapping[str, Sequence[str]] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Bars to research on. `digest` is of all of them, `refused` counts by reason.

    `jumps` are split-like jumps that nothing explains, a sentence each by symbol.
    """

    panel: Panel
    digest: str
    refused: Mapping[str, int]
    source: str
    index: NDArray[np.float64] | None
    """Closes of INDEX over the panel's sessions, NaN where it did not trade."""
    basis: Basis = Basis.UNKNOWN
    jumps: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def check(self) -> BarsCheck:
        """What the bars are worth, for the head of a report."""
        return check_bars(
            self.panel, source=self.source, basis=self.basis, refused=self.refused, jumps=self.jumps
        )


def open_dataset(inputs: Inputs, environ: Mapping[str, str]) -> Dataset:
    """The panel of the run's universe, symbols in order.

    UserError says what is missing or unreadable.
    """
    whole = _open(inputs, environ)
    if not inputs.symbols:
        return whole
    panel = whole.panel.select(require_known(whole.panel.symbols, inputs.symbols, whole.source))
    return replace(whole, panel=panel)


def require_known(available: Sequence[str], wanted: Collection[str], where: str) -> list[str]:
    """The wanted symbols in order.

    UserError names those that have no bars, and the nearest that do.
    """
    missing = sorted(set(wanted) - set(available))
    if not missing:
        return sorted(set(wanted))
    listed = ", ".join(missing[:NAMED]) + (
        f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    )
    raise UserError(f"The bars of {where} have no {listed}; {did_you_mean(missing[0], available)}")


def columns(panel: Panel, start: dt.date | None, end: dt.date | None) -> tuple[int, int]:
    """The first and last column of the sessions from `start` through `end`.

    UserError if there is none.
    """
    days = panel.sessions
    first = int(np.searchsorted(days, np.datetime64(start))) if start else 0
    last = (int(np.searchsorted(days, np.datetime64(end), side="right")) if end else days.size) - 1
    if first <= last:
        return first, last
    asked = f"{start or 'the beginning'} to {end or 'the end'}"
    raise UserError(f"There is no session from {asked}; the bars have {days[0]} to {days[-1]}.")


def _open(inputs: Inputs, environ: Mapping[str, str]) -> Dataset:
    bars = inputs.bars
    if bars in (SAMPLE, ARCHIVE) and (inputs.adjust or inputs.basis):
        raise UserError("--adjust and --basis are for files of your own (--bars FILE).")
    if bars == SAMPLE:
        return _sample()
    if bars == ARCHIVE:
        return _archive(Path(environ.get("KOBE_ARCHIVE_DIR") or DEFAULT_ARCHIVE))
    if not remote_bars.is_url(bars):
        return _files(Path(bars).expanduser(), inputs)
    path = remote_bars.at_hand(bars, Path(environ.get("KOBE_STATE_DIR") or DEFAULT_STATE) / "bars")
    return _archive(path) if remote_bars.is_archive(path) else _files(path, inputs)


def _sample() -> Dataset:
    from shared.domain.market.bars import align
    from shared.domain.market.refusals import refuse_impossible
    from shared.runtime.archive import sample as sample_bars

    bars = sample_bars.sample_bars()
    good, refusals = refuse_impossible(bars)
    digest = sample_bars.digest_of(bars)
    return _dataset(align(good), digest, _count_reasons(refusals), "the sample", sample_bars.BASIS)


def _archive(folder: Path) -> Dataset:
    from shared.runtime.archive.archive import BarArchive

    archive = BarArchive.open(folder)
    panel, jumps = archive.panel(), defaultdict(list)
    for jump in archive.jumps:
        jumps[jump.symbol].append(f"{jump.symbol} {jump.session}, like a {jump.ratio} split")
    # The panel of raw bars is adjusted by the archive's splits.
    basis = Basis.SPLIT if archive.basis is Basis.RAW else archive.basis
    return _dataset(panel, archive.digest(), archive.refused, "the archive", basis, jumps)


def _files(path: Path, inputs: Inputs) -> Dataset:
    from shared.runtime.bar_files.file_bars import ReadOptions
    from shared.runtime.bar_files.reader import read_files
    from shared.runtime.bar_files.sources import digest_of

    splits = Path(inputs.adjust).expanduser() if inputs.adjust else None
    options = ReadOptions(
        accept_flawed=inputs.accept_flawed,
        splits=_read_splits(splits) if splits else (),
        basis=Basis(inputs.basis) if inputs.basis else None,
        symbols=frozenset({*inputs.symbols, INDEX}) if inputs.symbols else frozenset(),
    )
    read = read_files(path, options)
    require_known(read.offered, inputs.symbols, path.name)
    announce(read.summary, *read.notes)
    digest = digest_of(path)
    if splits:
        digest = hashlib.sha256(f"{digest}|{digest_of(splits)}".encode()).hexdigest()
    jumps = defaultdict(list)
    for jump in read.jumps:
        jumps[jump.symbol].append(str(jump))
    return _dataset(read.panel, digest, read.refused, path.name, read.basis, jumps)


def _read_splits(file: Path) -> tuple[Split, ...]:
    """Imported only where there are any: readers of texts take memory and time of their own."""
    from shared.runtime.bar_files.actions import read_splits

    return read_splits(file)


def announce(*sentences: str) -> None:
    """Say what was read, and what is odd about it, where it does not mix with results."""
    for sentence in sentences[: NAMED + 1]:
        sys.stderr.write(f"{sentence}\n")
    if len(sentences) > NAMED + 1:
        sys.stderr.write(
            f"… and {len(sentences) - NAMED - 1} more; kobe data check has them all.\n"
        )


def _dataset(
    panel: Panel,
    digest: str,
    refused: Mapping[str, int],
    source: str,
    basis: Basis,
    jumps: Mapping[str, Sequence[str]] = NO_JUMPS,
) -> Dataset:
    if not panel.sessions.size:
        raise UserError(f"{source} holds no bars.")
    index = np.array(panel.close[panel.row(INDEX)]) if INDEX in panel.symbols else None
    return Dataset(panel, digest, dict(refused), source, index, basis, dict(jumps))


def _count_reasons(refusals: Sequence[RefusedBar]) -> dict[str, int]:
    return dict(sorted(Counter(refusal.reason.value for refusal in refusals).items()))
