"""RFC 6962 Merkle trees: the root of a growing list, proofs of inclusion and of growth. Pure.

Leaves and nodes are hashed with different prefixes, so that neither can pass for the other.
`Frontier` needs memory for the logarithm of the list only. Called by the auditor and by whoever
checks its chain.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

Range = tuple[int, int]

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Frontier:
    """The roots of the full subtrees of the first `size` leaves, largest first; grows in place."""

    size: int
    peaks: list[bytes]

    @classmethod
    def empty(cls) -> Frontier:
        return cls(0, [])

    def append(self, leaf: bytes) -> None:
        self.size = trailing = self.size + 1
        while trailing % 2 == 0:
            leaf = node_hash(self.peaks.pop(), leaf)
            trailing //= 2
        self.peaks.append(leaf)

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> Frontier:
        return Frontier(self.size, list(self.peaks))


def root_of(leaves: Iterable[bytes]) -> bytes:
    frontier = Frontier.empty()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


# --- proofs ---------------------------------------------------------------------------------------
# A proof is a list of subtree roots. Which subtrees depends on numbers alone, so a proof over a
# list of any length is made in one pass, in the memory of one frontier: name the ranges, then hash
# each as its leaves go by.


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The leaves under each sibling on the way from leaf `index` to the root of `size` leaves.

    Raises IndexError if there is no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError(f"there is no leaf {index} among {size}")
    return _siblings(index, 0, size)


def _siblings(index: int, start: int, stop: int) -> list[Range]:
    if stop - start == 1:
        return []
    cut = start + _split(stop - start)
    if index < cut:
        return [*_siblings(index, start, cut), (cut, stop)]
    return [*_siblings(index, cut, stop), (start, cut)]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """The leaves under each node that ties the root of `old` leaves to that of `size`.

    RFC 6962, 2.1.2. Raises IndexError if `old` is not within 1 and `size`.
    """
    if not 0 < old <= size:
        raise IndexError(f"{old} leaves are no beginning of {size}")
    return _ties(old, 0, size, whole=True)


def _ties(old: int, start: int, stop: int, *, whole: bool) -> list[Range]:
    if old == stop:
        return [] if whole else [(start, stop)]
    cut = start + _split(stop - start)
    if old <= cut:
        return [*_ties(old, start, cut, whole=whole), (cut, stop)]
    return [*_ties(old, cut, stop, whole=False), (start, cut)]


def roots_of(ranges: Sequence[Range], leaves: Iterable[bytes]) -> list[bytes]:
    """The root of each of the disjoint ranges, in one pass.

    Raises IndexError if the leaves end too soon.
    """
    roots: dict[Range, bytes] = {}
    numbered, reached = iter(leaves), 0
    for start, stop in sorted(ranges):
        deque(islice(numbered, start - reached), maxlen=0)
        frontier = Frontier.empty()
        for leaf in islice(numbered, stop - start):
            frontier.append(leaf)
        if frontier.size < stop - start:
            raise IndexError(f"the leaves end before {stop}")
        roots[start, stop], reached = frontier.root(), stop
    return [roots[each] for each in ranges]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The sibling hashes from the leaf up to the root."""
    return roots_of(inclusion_ranges(index, len(leaves)), leaves)


def consistency_proof(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """Shows that the first `old` of the leaves are where they were."""
    return roots_of(consistency_ranges(old, len(leaves)), leaves)


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that the proof leads to; None if it does not fit index and size.

    RFC 9162, 2.1.3.2.
    """
    if not 0 <= index < size:
        return None
    node, last, root = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return None
        if node % 2 or node == last:
            root = node_hash(sibling, root)
            node, last = _up_from_right(node, last)
        else:
            root = node_hash(root, sibling)
        node, last = node // 2, last // 2
    return root if last == 0 else None


def is_consistent(
    old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the list of `size` leaves begins with that of `old` (RFC 9162, 2.1.4.2)."""
    if old == size:
        return old_root == root and not proof
    if not 0 < old < size or not proof:
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    node, last = old - 1, size - 1
    while node % 2:
        node, last = node // 2, last // 2
    older = newer = path[0]
    for tie in path[1:]:
        if last == 0:
            return False
        if node % 2 or node == last:
            older, newer = node_hash(tie, older), node_hash(tie, newer)
            node, last = _up_from_right(node, last)
        else:
            newer = node_hash(newer, tie)
        node, last = node // 2, last // 2
    return last == 0 and (older, newer) == (old_root, root)


def _up_from_right(node: int, last: int) -> tuple[int, int]:
    """Levels at which the last node of a ragged tree has no sibling are passed over."""
    while node % 2 == 0 and node:
        node, last = node // 2, last // 2
    return node, last


# --- a run of leaves ------------------------------------------------------------------------------


def outer_ranges(first: int, stop: int, size: int) -> list[Range]:
    """The largest subtrees of `size` leaves that lie outside of leaves `first` to `stop`, in order.

    Raises IndexError if there is no such run.
    """
    if not 0 <= first < stop <= size:
        raise IndexError(f"there are no leaves {first} to {stop} among {size}")
    return _outside(first, stop, 0, size)


def _outside(first: int, stop: int, start: int, end: int) -> list[Range]:
    if first <= start and end <= stop:
        return []
    if end <= first or stop <= start:
        return [(start, end)]
    cut = start + _split(end - start)
    return [*_outside(first, stop, start, cut), *_outside(first, stop, cut, end)]


def root_from_run(
    leaves: Sequence[bytes], first: int, size: int, proof: Sequence[bytes]
) -> bytes | None:
    """The root that a run of leaves and the subtrees around it lead to; None if they do not fit."""
    stop, rest = first + len(leaves), iter(proof)

    def root(start: int, end: int) -> bytes:
        if end <= first or stop <= start:
            return next(rest)
        if first <= start and end <= stop:
            return root_of(leaves[start - first : end - first])
        cut = start + _split(end - start)
        left = root(start, cut)
        return node_hash(left, root(cut, end))

    try:
        if not 0 <= first < stop <= size:
            return None
        found = root(0, size)
    except StopIteration:
        return None
    return found if next(rest, None) is None else None
