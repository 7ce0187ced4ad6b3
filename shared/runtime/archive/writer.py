"""How the archive is written.

Bars kept or refused, Parquet parts, digests, arrays, at last the manifest.

Called by the data-fetcher, by `kobe data` and by tests; one writer at a time. The manifest's rename
is the moment of change.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis, apply_splits
from shared.domain.market.bars import Bars
from shared.domain.market.refusals import RefusedBar
from shared.runtime.archive import chain
from shared.runtime.archive.archive import BarArchive, due_splits
from shared.runtime.archive.incoming import (
    fresh_bars,
    judge,
    merge_actions,
    new_refusals,
    split_off_jumps,
    unknown_bars,
)
from shared.runtime.archive.manifest import ARRAYS, MANIFEST, PARTS
from shared.runtime.archive.publication import (
    combine,
    extend,
    publish,
    sole_writer,
    with_base,
    write_whole,
)
from shared.schemas.corporate_actions import CorporateActions

NO_ACTIONS = CorporateActions()


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
    with sole_writer(folder):
        panel, impossible = judge(bars)
        if not panel.sessions.size:
            raise UserError(f"There is not one usable bar among the {bars.row.size} given.")
        merged = merge_actions(NO_ACTIONS, actions)
        return write_whole(folder, basis, source, panel, merged, [*refused, *impossible])


def append(
    folder: Path,
    bars: Bars,
    *,
    actions: CorporateActions = NO_ACTIONS,
    refused: Sequence[RefusedBar] = (),
) -> BarArchive:
    """Add later sessions, and late bars of the last one; the new view. Older bars are left out.

    What it costs depends on the symbols, not on their history. `actions` may repeat what is known;
    a new split renews the arrays by itself. A bar that jumps like a split that nobody announced is
    refused. Bars on another basis than the archive's must not come here.
    """
    with sole_writer(folder):
        archive = BarArchive.open(folder)
        known = archive.actions
        merged = merge_actions(known, actions)
        panel, impossible = judge(bars)
        fresh, jumped = split_off_jumps(archive, fresh_bars(archive, panel), merged)
        refusals = new_refusals(archive, [*refused, *impossible, *jumped])
        if not fresh.row.size and not refusals and merged == known:
            return archive
        last = max([archive.sessions[-1], *fresh.session.tolist()])
        splits = due_splits(archive.basis, merged, archive.symbols, last)
        is_same = set(fresh.symbols) <= set(archive.symbols)
        if is_same and chain.splits_digest(splits) == archive.manifest.splits:
            return extend(archive, fresh, merged, refusals)
        manifest = archive.manifest
        everything = [*archive.refusals, *refusals]
        return write_whole(
            folder, manifest.basis, manifest.source, combine(archive, fresh), merged, everything,
            kept=manifest.parts, fresh=fresh,
        )  # fmt: skip


def backfill(
    folder: Path,
    bars: Bars,
    *,
    source: str,
    actions: CorporateActions = NO_ACTIONS,
    refused: Sequence[RefusedBar] = (),
) -> BarArchive:
    """Add bars of any session and symbol where there are none yet: new symbols, gaps.

    The chain is made anew from the first session that changes. `source` is what the archive is of
    from now on.
    """
    with sole_writer(folder):
        archive = BarArchive.open(folder)
        panel, impossible = judge(bars)
        fresh = unknown_bars(archive, panel)
        merged = merge_actions(archive.actions, actions)
        refusals = [*archive.refusals, *new_refusals(archive, [*refused, *impossible])]
        whole = combine(archive, fresh)
        return write_whole(
            folder, archive.basis, source, whole, merged, refusals,
            kept=archive.manifest.parts, fresh=fresh,
        )  # fmt: skip


def settle(folder: Path) -> BarArchive:
    """Write the arrays anew with the sessions appended since, so that readers map all of them.

    Worth doing when nobody waits; it costs as much as the whole history.
    """
    with sole_writer(folder):
        archive = BarArchive.open(folder)
        if not archive.manifest.tail:
            return archive
        return publish(folder, with_base(folder, archive.manifest, archive.panel()))


def set_aside(folder: Path) -> Path:
    """Move a damaged archive out of the way, whole; where it is now. Nothing is thrown away."""
    with sole_writer(folder):
        digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()[:12]
        place = folder / f"damaged-{digest}"
        place.mkdir(exist_ok=True)
        for path in folder.iterdir():
            if path.name in (MANIFEST, PARTS, ARRAYS) or path.suffix == ".parquet":
                path.rename(place / path.name)
    return place


def rederive(folder: Path) -> BarArchive:
    """Make the arrays anew from the Parquet parts (they were lost or damaged).

    Raises UserError if the parts are not those that the digests speak of.
    """
    with sole_writer(folder):
        archive = BarArchive.open(folder)
        raw = archive.verify_raw_panel()
        apply_splits(raw, archive.effective_splits)
        return publish(folder, with_base(folder, archive.manifest, raw))
