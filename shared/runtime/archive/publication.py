"""The files of a new view of the archive.

Parts, arrays, factors, refusals, and the manifest that names them.

Called by the writer, which decides what the view holds. Nothing that an older manifest names is
changed; what none names any more is removed last.
"""

import datetime as dt
import hashlib
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from shared.domain.errors import TransientError
from shared.domain.market.adjustment import Basis, apply_splits
from shared.domain.market.bars import FIELDS, Bars, Panel, align, join_bars
from shared.domain.market.jumps import find_jumps
from shared.domain.market.refusals import RefusedBar
from shared.domain.market.sessions import next_session, sessions_between
from shared.runtime.archive import arrays, chain, parts
from shared.runtime.archive.archive import BarArchive, digest_file, due_splits
from shared.runtime.archive.incoming import add_bars
from shared.runtime.archive.manifest import (
    ARRAYS,
    FORMAT,
    MANIFEST,
    PARTS,
    KnownJump,
    Manifest,
    Part,
)
from shared.runtime.atomic_file import DRAFT, sync, write_file
from shared.runtime.locking import try_lock
from shared.schemas.corporate_actions import CorporateActions

LONGEST_TAIL = 21
"""Sessions appended before the arrays are written anew: once a month, not every day."""
PARTS_MERGED = 8
"""Parts of about one size that become one.

Few files, and each bar is rewritten a few times only.
"""
LOCK = ".writer"


def combine(archive: BarArchive, fresh: Bars) -> Panel:
    """The raw bars of the archive and the fresh ones."""
    return add_bars(archive.raw_panel(), fresh)


def write_whole(
    folder: Path,
    basis: Basis,
    source: str,
    raw: Panel,
    actions: CorporateActions,
    refusals: Sequence[RefusedBar],
    *,
    kept: Sequence[Part] = (),
    fresh: Bars | None = None,
) -> BarArchive:
    """A view of the whole panel, whose arrays are used up.

    Of the parts `kept` only `fresh` is missing.
    """
    splits = due_splits(basis, actions, raw.symbols, raw.sessions[-1].item())
    links = chain.extend_chain(chain.first_link(basis), raw, splits)
    new = (_write_part(folder, raw),) if fresh is None else _write_fresh(folder, fresh)
    apply_splits(raw, splits)
    manifest = Manifest(
        format=FORMAT,
        basis=basis,
        source=source,
        symbols=raw.symbols,
        sessions=tuple(raw.sessions.tolist()),
        digests=tuple(links),
        parts=_merge_parts(folder, (*kept, *new)),
        generation="",
        base_sessions=0,
        base_digest="",
        tail="",
        splits=chain.splits_digest(splits),
        refused={},
        jumps=_jumps(raw),
        refusals="",
        factors="",
    )
    manifest = _with_files(folder, manifest, actions, refusals)
    return publish(folder, with_base(folder, manifest, raw))


def extend(
    archive: BarArchive, fresh: Bars, actions: CorporateActions, refusals: Sequence[RefusedBar]
) -> BarArchive:
    """A view with fresh bars of known symbols at its end.

    What is older is neither read nor rewritten.
    """
    folder, manifest = archive.folder, archive.manifest
    if refusals or actions != archive.actions:
        manifest = _with_files(folder, manifest, actions, [*archive.refusals, *refusals])
    if not fresh.row.size:
        return publish(folder, manifest)
    block = _block(archive, fresh)
    kept = len(archive.sessions) - int(block.sessions[0] == np.datetime64(archive.sessions[-1]))
    before = manifest.digests[kept - 1] if kept else chain.first_link(manifest.basis)
    last = block.sessions[-1].item()
    splits = due_splits(manifest.basis, actions, archive.symbols, last)
    links = (*manifest.digests[:kept], *chain.extend_chain(before, block, splits))
    new = _write_fresh(folder, fresh)
    apply_splits(block, splits)
    manifest = msgspec.structs.replace(
        manifest,
        sessions=(*manifest.sessions[:kept], *block.sessions.tolist()),
        digests=links,
        parts=_merge_parts(folder, (*manifest.parts, *new)),
    )
    return publish(folder, _with_tail(archive, manifest, kept, block))


def _block(archive: BarArchive, fresh: Bars) -> Panel:
    """The raw bars of the sessions that change.

    All symbols, from the first fresh bar's session on.
    """
    last = archive.sessions[-1]
    is_late = fresh.session.min() == np.datetime64(last)
    first = np.datetime64(last) if is_late else next_session(last)
    sessions = sessions_between(first, fresh.session.max())
    shape = (len(archive.symbols), sessions.size)
    block = Panel(archive.symbols, sessions, **{name: np.full(shape, np.nan) for name in FIELDS})
    return add_bars(add_bars(block, archive.raw_session(last)) if is_late else block, fresh)


def _with_tail(archive: BarArchive, manifest: Manifest, kept: int, block: Panel) -> Manifest:
    """The arrays.

    The base and a tail of what came since, or a new base when that has grown long.
    """
    tail = archive.tail()
    base_sessions = min(manifest.base_sessions, kept)
    added = np.stack([getattr(block, name) for name in FIELDS])
    if tail is None or kept - base_sessions + added.shape[2] > LONGEST_TAIL:
        panel = archive.panel().first(kept)
        joined = {
            name: np.concatenate([getattr(panel, name), getattr(block, name)], axis=1)
            for name in FIELDS
        }
        sessions = np.concatenate([panel.sessions, block.sessions])
        return with_base(archive.folder, manifest, Panel(archive.symbols, sessions, **joined))
    tail = np.concatenate([tail[:, :, : kept - base_sessions], added], axis=2)
    name = arrays.write_tail(archive.folder, manifest.digests[-1], tail)
    return msgspec.structs.replace(manifest, base_sessions=base_sessions, tail=name)


def with_base(folder: Path, manifest: Manifest, panel: Panel) -> Manifest:
    """The manifest with these arrays, written as a generation of their own."""
    identity = "|".join((manifest.digests[-1], manifest.splits, *manifest.symbols))
    generation = hashlib.sha256(identity.encode()).hexdigest()[:16]
    digest = arrays.write_base(folder, generation, panel)
    return msgspec.structs.replace(
        manifest,
        generation=generation,
        base_sessions=len(manifest.sessions),
        base_digest=digest,
        tail="",
    )


def _jumps(panel: Panel) -> tuple[KnownJump, ...]:
    found = find_jumps(panel)
    days: list[dt.date] = np.array([jump.session for jump in found], "datetime64[D]").tolist()
    return tuple(
        KnownJump(symbol=jump.symbol, session=day, ratio=f"{jump.new}:{jump.old}")
        for jump, day in zip(found, days, strict=True)
    )


# --- files ----------------------------------------------------------------------------------------


def _write_fresh(folder: Path, fresh: Bars) -> tuple[Part, ...]:
    if not fresh.row.size:
        return ()
    return (_write_part(folder, fresh),)


def _write_part(folder: Path, bars: Bars | Panel) -> Part:
    name, content = _write_by_content(folder / PARTS, "bars", lambda path: parts.write(path, bars))
    days = bars.session if isinstance(bars, Bars) else bars.sessions
    rows = bars.row.size if isinstance(bars, Bars) else int(np.isfinite(bars.close).sum())
    return Part(
        name=name, rows=rows, first=days.min().item(), last=days.max().item(), digest=content
    )


def _merge_parts(folder: Path, found: tuple[Part, ...]) -> tuple[Part, ...]:
    """The last PARTS_MERGED of about one size as one, again and again."""
    last = found[-PARTS_MERGED:]
    if len(last) < PARTS_MERGED or len({_size_class(part) for part in last}) > 1:
        return found
    read = [parts.read_bars(folder / PARTS / part.name) for part in last]
    merged = _write_part(folder, align(join_bars(read)))
    return _merge_parts(folder, (*found[:-PARTS_MERGED], merged))


def _size_class(part: Part) -> int:
    return int(math.log(max(part.rows, 1), PARTS_MERGED))


def _with_files(
    folder: Path,
    manifest: Manifest,
    actions: CorporateActions,
    refusals: Sequence[RefusedBar],
) -> Manifest:
    counts = Counter(refusal.reason.value for refusal in refusals)
    return msgspec.structs.replace(
        manifest,
        refused=dict(sorted(counts.items())),
        refusals=_write_by_content(folder, "refusals", partial(parts.write_refusals, refusals))[0],
        factors=_write_by_content(folder, "factors", partial(parts.write_actions, actions))[0],
    )


def _write_by_content(folder: Path, kind: str, write: Callable[[Path], None]) -> tuple[str, str]:
    """A file named by its content; its name and its sha256."""
    draft = folder / f".{kind}{DRAFT}"
    folder.mkdir(parents=True, exist_ok=True)
    write(draft)
    sync(draft)
    content = digest_file(draft)
    final = folder / f"{kind}-{content[:32]}.parquet"
    draft.replace(final)
    sync(folder)
    return final.name, content


def publish(folder: Path, manifest: Manifest) -> BarArchive:
    """Make the manifest the archive's, and remove what it no longer names."""
    write_file(folder / MANIFEST, msgspec.json.encode(manifest))
    arrays.drop_arrays(folder, keep={manifest.generation, manifest.tail})
    _drop(folder / PARTS, keep={part.name for part in manifest.parts})
    _drop(folder, keep={manifest.refusals, manifest.factors})
    return BarArchive(folder, manifest)


def _drop(folder: Path, keep: set[str]) -> None:
    for path in folder.glob("*-*.parquet"):
        if path.name not in keep:
            path.unlink()


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold the archive as its one writer; what a killed one left behind is removed.

    Raises TransientError if another process writes, or the disk does not take it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOCK).open("w") as lock:
            if not try_lock(lock):
                raise TransientError(f"another process is writing the bar archive {folder}")
            for place in (folder, folder / PARTS, folder / ARRAYS):
                for path in place.glob(f".*{DRAFT}"):
                    _remove(path)
            yield
    except OSError as error:
        raise TransientError(
            f"the bar archive {folder} cannot be written: {error.strerror}"
        ) from error


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
