"""The chained digest of an archive: each session's link covers its raw bars and all before it.

Called by the writer and by whoever verifies. The same bars, splits and basis give the same chain,
whoever delivered them and in however many pieces.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import FIELDS, Panel
from shared.domain.market.sessions import next_session
from shared.schemas.corporate_actions import Split
from shared.schemas.fields import MAX_SYMBOL

AT_ONCE = 128
"""Sessions transposed together, so that hashing needs little memory beside the panel."""


def first_link(basis: Basis) -> str:
    """What the first session is chained to: bars of two bases never share a digest."""
    return hashlib.sha256(f"kobe bars 3|{basis}".encode()).hexdigest()


def extend_chain(before: str, panel: Panel, splits: Iterable[Split], start: int = 0) -> list[str]:
    """The links of the panel's sessions from the column `start` on, after the link `before`.

    A link covers the splits that become effective after its session and by the next one's open.
    """
    names = symbol_bytes(panel.symbols)
    due = _due_splits(panel, splits)
    links = []
    digest = before
    for first in range(start, panel.sessions.size, AT_ONCE):
        last = min(first + AT_ONCE, panel.sessions.size)
        block = np.stack([getattr(panel, name)[:, first:last].T for name in FIELDS], axis=-1)
        for session, bars in zip(panel.sessions[first:last], block, strict=True):
            there = np.isfinite(bars[:, 0])
            parts = (
                digest.encode(),
                str(session).encode(),
                names[there].tobytes(),
                bars[there].tobytes(),
                *due.get(str(session), ()),
            )
            digest = hashlib.sha256(b"|".join(parts)).hexdigest()
            links.append(digest)
    return links


def splits_digest(splits: Iterable[Split]) -> str:
    """Of the splits that arrays are adjusted by."""
    lines = sorted(f"{each.symbol} {each.ex_date} {each.ratio.normalize()}" for each in splits)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _due_splits(panel: Panel, splits: Iterable[Split]) -> dict[str, list[bytes]]:
    """By the session whose link covers them."""
    due: dict[str, list[bytes]] = defaultdict(list)
    if not panel.sessions.size:
        return due
    following = np.append(panel.sessions[1:], next_session(panel.sessions[-1]))
    for split in sorted(splits, key=lambda each: (each.ex_date, each.symbol)):
        place = int(np.searchsorted(following, np.datetime64(split.ex_date)))
        if np.datetime64(split.ex_date) > panel.sessions[0] and place < following.size:
            line = f"split {split.symbol} {split.ex_date} {split.ratio.normalize()}"
            due[str(panel.sessions[place])].append(line.encode())
    return due


def symbol_bytes(symbols: Sequence[str]) -> NDArray[np.bytes_]:
    """Names of equal width. Raises UserError for one that is too long."""
    for symbol in symbols:
        if not 0 < len(symbol.encode()) <= MAX_SYMBOL:
            raise UserError(
                f"{symbol!r} is not a symbol: it must have 1 to {MAX_SYMBOL} characters."
            )
    return np.array([symbol.encode() for symbol in symbols], f"S{MAX_SYMBOL}")
