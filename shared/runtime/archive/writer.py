"""How the archive is written: bars kept or refused, a Parquet part, the arrays, the digests, at last the manifest.

Called by the data-fetcher and by tests. Every file is written aside and renamed; the manifest's
rename is the moment of change.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from shared.domain.errors import TransientError, UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import FIELDS, Bars, Panel, align
from shared.domain.market.refusals import RefusedBar, refuse_impossible
from shared.domain.market.sessions import sessions_between
from shared.runtime.archive import parquet as bar_parquet
from shared.runtime.archive.archive import BarArchive
from shared.runtime.archive.manifest import ARRAYS, FORMAT, MANIFEST, PARTS, REFUSALS, Manifest
from shared.schemas.corporate_actions import CorporateActions

LONGEST_SYMBOL = 16
NO_ACTIONS = CorporateActions()
_ASIDE = ".aside-"


def create(
    folder: Path,
    bars: Bars,
    *,
    basis: Basis,
    source: str,
    actions: CorporateActions = NO_ACTIONS,
    refused: Sequence[RefusedBar] = (),
) -> BarArchive:
    """Archive these bars in place of whatever is there; impossible ones are refused and remembered.

    `source` is the digest of where they came from. `actions` are the splits and dividends known of
    the symbols, past and announced: raw bars and they are the truth, split-adjusted arrays derive
    from both. `refused` are rows that could not even become bars. Raises UserError if no bar is
    left.
    """
    with _alone(folder):
        good, refusals = refuse_impossible(bars)
        if not good.row.size:
            raise UserError(f"There is not one usable bar among the {bars.row.size} given.")
        good = bar_parquet.tidy(good)
        panel = align(good)
        empty = Manifest(
            format=FORMAT,
            basis=basis,
            source=source,
            generation="",
            symbols=(),
            sessions=(),
            digests=(),
            parts=(),
            refused={},
        )
        manifest = _publish(folder, _grown(empty, panel, 0), panel, good, [*refused, *refusals])
    return BarArchive(folder, manifest)


def append(
    folder: Path,
    bars: Bars,
    *,
    actions: CorporateActions = NO_ACTIONS,
    refused: Sequence[RefusedBar] = (),
) -> BarArchive:
    """Add later sessions, and late bars of the last one; the new view. Older bars are left out.

    `actions` may repeat what is known; a new split renews the derived arrays by itself. Bars on
    another basis than the archive's must not come here. A symbol that is new gets a row of its own;
    its history comes by `create`.
    """
    with _alone(folder):
        archive = BarArchive.open(folder)
        before = archive.manifest
        good, impossible = refuse_impossible(bars)
        panel = archive.panel()
        fresh = _fresh(panel, good)
        known = archive.refusals
        heard = set(known)
        refusals = [
            refusal
            for refusal in (*refused, *impossible)
            if refusal.session >= panel.sessions[-1] and refusal not in heard
        ]
        if not fresh.row.size and not refusals:
            return archive
        grown = _extended(panel, fresh)
        manifest = _grown(before, grown, len(before.sessions) - 1)
        return BarArchive(folder, _publish(folder, manifest, grown, fresh, [*known, *refusals]))


def rederive(folder: Path) -> BarArchive:
    """Make the arrays anew from the Parquet parts (they were lost or damaged)."""
    with _alone(folder):
        archive = BarArchive.open(folder)
        parts = [bar_parquet.read(folder / PARTS / part) for part in archive.manifest.parts]
        panel = align(bar_parquet.tidy(bar_parquet.joined(parts)))
        manifest = _grown(msgspec.structs.replace(archive.manifest, digests=()), panel, 0)
        if manifest.digests != archive.manifest.digests:
            raise UserError(
                f"The bars in {folder} are not those its digests speak of; fetch them again."
            )
        return BarArchive(folder, _publish(folder, manifest, panel, None, archive.refusals))


def _fresh(panel: Panel, bars: Bars) -> Bars:
    """What is later than the panel, or on its last session for a symbol without a bar there."""
    last = panel.sessions[-1]
    held = {
        symbol
        for symbol, close in zip(panel.symbols, panel.close[:, -1], strict=True)
        if close == close
    }
    late = np.array([symbol not in held for symbol in bars.symbols], bool)[bars.row]
    return bar_parquet.tidy(bars.only((bars.session > last) | ((bars.session == last) & late)))


def _extended(panel: Panel, fresh: Bars) -> Panel:
    """The panel with the fresh bars; its own are copied as they are."""
    symbols = tuple(sorted({*panel.symbols, *fresh.symbols}))
    last = fresh.session.max() if fresh.session.size else panel.sessions[-1]
    sessions = sessions_between(panel.sessions[0], max(panel.sessions[-1], last))
    place = {symbol: row for row, symbol in enumerate(symbols)}
    rows = np.array([place[symbol] for symbol in panel.symbols])
    fresh_rows = np.array([place[symbol] for symbol in fresh.symbols], np.int64)[fresh.row]
    columns = np.searchsorted(sessions, fresh.session)
    fields = {}
    for name in FIELDS:
        field = np.full((len(symbols), sessions.size), np.nan)
        field[rows, : panel.sessions.size] = getattr(panel, name)
        field[fresh_rows, columns] = getattr(fresh, name)
        fields[name] = field
    return Panel(symbols, sessions, **fields)


def _grown(before: Manifest, panel: Panel, kept: int) -> Manifest:
    """The manifest for a panel of which the first `kept` sessions are as they were; only the others are hashed."""
    digest = (
        before.digests[kept - 1]
        if kept
        else hashlib.sha256(f"kobe bars 1|{before.basis}".encode()).hexdigest()
    )
    digests = list(before.digests[:kept])
    names = _symbol_bytes(panel.symbols)
    values = np.stack([getattr(panel, name)[:, kept:].T for name in FIELDS], axis=-1)
    for session, bars in zip(panel.sessions[kept:], values, strict=True):
        there = np.isfinite(bars[:, 0])
        parts = (
            digest.encode(),
            str(session).encode(),
            names[there].tobytes(),
            bars[there].tobytes(),
        )
        digest = hashlib.sha256(b"|".join(parts)).hexdigest()
        digests.append(digest)
    return msgspec.structs.replace(
        before,
        symbols=panel.symbols,
        sessions=tuple(panel.sessions.tolist()),
        digests=tuple(digests),
    )


def _symbol_bytes(symbols: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.bytes_]]:
    for symbol in symbols:
        if not 0 < len(symbol.encode()) <= LONGEST_SYMBOL:
            raise UserError(
                f"{symbol!r} is not a symbol: it must have 1 to {LONGEST_SYMBOL} characters."
            )
    return np.array([symbol.encode() for symbol in symbols], f"S{LONGEST_SYMBOL}")


# --- files ----------------------------------------------------------------------------------------


def _publish(
    folder: Path, manifest: Manifest, panel: Panel, bars: Bars | None, refusals: list[RefusedBar]
) -> Manifest:
    """Write all that the manifest names, then the manifest, then drop what no manifest names any more."""
    last = manifest.digests[-1]
    identity = hashlib.sha256("|".join((last, *manifest.symbols)).encode()).hexdigest()
    parts = manifest.parts
    if bars is not None and bars.row.size:
        name = f"{bars.session.min()}_{bars.session.max()}_{last[:12]}.parquet"
        with _aside(folder / PARTS / name) as aside:
            bar_parquet.write(aside, bars)
        parts = (*parts, name)
    with _aside(folder / REFUSALS) as aside:
        bar_parquet.write_refusals(aside, refusals)
    manifest = msgspec.structs.replace(
        manifest,
        generation=identity[:16],
        parts=parts,
        refused=dict(sorted(Counter(refusal.reason.value for refusal in refusals).items())),
    )
    _write_arrays(folder / ARRAYS / manifest.generation, panel)
    with _aside(folder / MANIFEST) as aside:
        aside.write_bytes(msgspec.json.encode(manifest))
    _drop(folder / ARRAYS, keep={manifest.generation})
    _drop(folder / PARTS, keep=set(manifest.parts))
    return manifest


def _write_arrays(target: Path, panel: Panel) -> None:
    """Derived, yet synced: after a power cut a reader must not map zeros."""
    aside = target.with_name(f"{_ASIDE}{target.name}")
    aside.mkdir(parents=True)
    for name in FIELDS:
        with (aside / f"{name}.npy").open("wb") as file:
            np.save(file, np.ascontiguousarray(getattr(panel, name)))
            file.flush()
            os.fsync(file.fileno())
    if target.exists():
        shutil.rmtree(target)
    aside.rename(target)
    _sync(target.parent)


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A path to write to; renamed to the target, synced, once the block has ended well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{_ASIDE}{target.name}")
    yield aside
    _sync(aside)
    aside.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _drop(folder: Path, keep: set[str]) -> None:
    for path in folder.iterdir():
        if path.name not in keep:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The one writer; what a crashed one left is removed. TransientError: another writes, or the disk is full."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".writer").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in folder.rglob(f"{_ASIDE}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            yield
    except BlockingIOError as error:
        raise TransientError(f"another process is writing the bar archive {folder}") from error
    except OSError as error:
        raise TransientError(
            f"the bar archive {folder} cannot be written: {error.strerror}"
        ) from error
