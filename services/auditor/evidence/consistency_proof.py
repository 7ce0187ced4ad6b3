"""Proves offline that one checkpoint's records are the beginning of another's: the chain only grew.

Called by `kobe audit consistency` and `check`. RFC 6962, 2.1.2; also in the form of a C2SP
tlog-witness request, which any witness takes.
"""

import base64
from pathlib import Path

import msgspec

from services.auditor.chain import signed_note
from services.auditor.chain.checkpoints import FILE, Checkpoint, read_checkpoint, read_notes
from services.auditor.chain.day_files import whole_lines
from services.auditor.chain.merkle import consistency_ranges, is_consistent, leaf_hash, roots_of
from services.auditor.chain.trust import Trust, auditor_keys
from services.auditor.evidence.findings import ChainFinding, Verdict
from shared.domain.errors import UserError


class ConsistencyBundle(msgspec.Struct, frozen=True, kw_only=True):
    """Two checkpoints as signed notes, and the nodes (hex) that tie the older to the newer."""

    old_note: str
    new_note: str
    consistency: tuple[str, ...]


def prove_consistency(folder: Path, old: int, new: int | None) -> ConsistencyBundle:
    """Of a chain verified before; `new` None: its newest checkpoint.

    Raises UserError if there is no checkpoint of one of the sizes.
    """
    first = _checkpoint(folder, old)
    last = _newest(folder) if new is None else _checkpoint(folder, new)
    return ConsistencyBundle(
        old_note=first.text,
        new_note=last.text,
        consistency=tuple(node.hex() for node in nodes_between(folder, first.size, last.size)),
    )


def nodes_between(folder: Path, old: int, new: int) -> list[bytes]:
    """The consistency proof from `old` records to `new`, in one pass; empty if old is 0.

    Raises UserError if the records are not there.
    """
    if old == 0:
        return []
    try:
        leaves = (leaf_hash(line) for line in whole_lines(folder))
        return roots_of(consistency_ranges(old, new), leaves)
    except IndexError as error:
        raise UserError(
            f"There is no proof from {old} to {new} records of {folder}: {error}."
        ) from error


def witness_request(note: Checkpoint, old: int, nodes: list[bytes]) -> str:
    """The body of a tlog-witness add-checkpoint request."""
    proof = "".join(f"{base64.b64encode(node).decode()}\n" for node in nodes)
    return f"old {old}\n{proof}\n{note.text}"


def check_consistency(bundle: ConsistencyBundle, trust: Trust) -> Verdict:
    """Judge a bundle by the pinned key. Raises UserError if it holds no checkpoints."""
    try:
        old, new = read_checkpoint(bundle.old_note), read_checkpoint(bundle.new_note)
        nodes = [bytes.fromhex(node) for node in bundle.consistency]
    except ValueError as error:
        raise UserError(f"This is not a proof of `kobe audit consistency`: {error}.") from error
    finding, sentence = _judge(old, new, nodes, trust)
    return Verdict(
        exit_code=int(finding),
        sentence=sentence,
        height=new.size,
        head=None,
        checkpoints=2 if finding is ChainFinding.OK else 0,
        is_proof=finding is ChainFinding.OK,
    )


def _judge(
    old: Checkpoint, new: Checkpoint, nodes: list[bytes], trust: Trust
) -> tuple[ChainFinding, str]:
    if trust.auditor is None:
        return ChainFinding.KEY_NOT_PINNED, "key NOT pinned: a proof is judged by it; give --keys"
    for note in (old, new):
        keys = auditor_keys(trust.auditor, note.chain_id)
        try:
            held = signed_note.verify(note.note, keys)
        except ValueError:
            held = []
        if not held:
            sentence = f"the checkpoint over {note.size} records is not signed by the auditor's key"
            return ChainFinding.BAD_SIGNATURE, sentence
    if old.origin != new.origin or not is_consistent(old.size, old.root, new.size, new.root, nodes):
        sentence = f"the {old.size} records are not the beginning of the {new.size}"
        return ChainFinding.REWRITTEN, sentence
    sentence = f"the first {old.size} records are the beginning of the {new.size}, as signed"
    return ChainFinding.OK, sentence


def _checkpoint(folder: Path, size: int) -> Checkpoint:
    sizes = []
    for note in read_notes(folder / FILE):
        if note.size == size:
            return note
        sizes.append(note.size)
    near = min(sizes, key=lambda each: abs(each - size), default=None)
    hint = f"; the nearest one is over {near}" if near else ""
    raise UserError(f"There is no checkpoint over {size} records in {folder}{hint}.")


def _newest(folder: Path) -> Checkpoint:
    *_, newest = read_notes(folder / FILE)
    return newest
