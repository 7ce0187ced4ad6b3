"""Proves offline that one record is in the chain: the record, its path to a root, the signature.

Called by `kobe audit prove`, `check` and `anchor`. Who checks needs the bundle and the auditor's
public key, nothing else; the other records stay private.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from services.auditor.chain.checkpoints import (
    FILE,
    Note,
    is_signed,
    last_note,
    read_note,
    read_notes,
)
from services.auditor.chain.day_files import require_chain, whole_lines
from services.auditor.chain.merkle import inclusion_ranges, leaf_hash, root_from_inclusion, roots_of
from services.auditor.chain.record import BrokenLink, NotCanonical, open_line
from services.auditor.evidence.verify import ChainFault, ChainFinding, Verdict
from shared.domain.errors import UserError
from shared.runtime.signing import key_id_of


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """`index` counts from 0; `proof` is hex, leaf to root; `public` is the chain's own key."""

    index: int
    record: str
    proof: tuple[str, ...]
    note: str
    public: str


def prove(folder: Path, index: int) -> Bundle:
    """In one pass. Raises UserError if there is no such record, or no checkpoint over it yet."""
    note = _covering(folder, index)
    record, genesis = b"", b""

    def leaves() -> Iterator[bytes]:
        nonlocal record, genesis
        for number, line in enumerate(whole_lines(folder)):
            genesis = line if number == 0 else genesis
            record = line if number == index else record
            yield leaf_hash(line)

    try:
        path = roots_of([*inclusion_ranges(index, note.size), (index, index + 1)], leaves())[:-1]
        public = str(open_line(genesis, None)[0]["auditor_key"]["public"])
    except (IndexError, KeyError, NotCanonical, BrokenLink) as error:
        raise UserError(
            f"The chain in {folder} does not verify ({error}); see `kobe audit verify`."
        ) from error
    proof = tuple(node.hex() for node in path)
    return Bundle(index=index, record=record.decode(), proof=proof, note=note.text, public=public)


def _covering(folder: Path, index: int) -> Note:
    """The first checkpoint over the record."""
    require_chain(folder)
    if index < 0:
        raise UserError("Records are counted from 0.", exit_code=64)
    try:
        for note in read_notes(folder / FILE):
            if note.size > index:
                return note
    except ValueError as error:
        raise UserError(f"The checkpoints in {folder} cannot be read: {error}.") from error
    raise UserError(
        f"No checkpoint covers record {index} yet; one is made every minute while the auditor runs."
    )


def check(data: bytes, *, public_key: bytes | None = None) -> Verdict:
    """Judge a bundle. Without a pinned key its own is taken, which proves less."""
    try:
        bundle = msgspec.json.decode(data, type=Bundle)
        note, key = read_note(bundle.note), public_key or bytes.fromhex(bundle.public)
        proof = [bytes.fromhex(node) for node in bundle.proof]
    except (msgspec.MsgspecError, ValueError) as error:
        raise UserError(f"This is not a proof made by `kobe audit prove`: {error}.") from error
    try:
        this_hash = _judge(bundle, note, proof, key)
    except ChainFault as bad:
        return _verdict(bundle, note, bad.finding, str(bad), None)
    sentence = (
        f"record {bundle.index} is among the first {note.size} of chain {note.chain_id}, as signed"
    )
    return _verdict(bundle, note, ChainFinding.OK, sentence, this_hash)


def _judge(bundle: Bundle, note: Note, proof: list[bytes], key: bytes) -> str:
    line = bundle.record.encode()
    try:
        _, this_hash = open_line(line, msgspec.json.decode(line)["prev_hash"])
    except BrokenLink as error:
        raise ChainFault(ChainFinding.BROKEN_LINK, f"the record does not hold: {error}") from error
    except (NotCanonical, msgspec.MsgspecError, KeyError, TypeError, AttributeError) as error:
        raise ChainFault(
            ChainFinding.NOT_CANONICAL, f"the record is not one of a chain: {error}"
        ) from error
    if not is_signed(note, {key_id_of(key): key}):
        raise ChainFault(
            ChainFinding.BAD_SIGNATURE, "the checkpoint is not signed by the auditor's key"
        )
    root = root_from_inclusion(leaf_hash(line), bundle.index, note.size, proof)
    if root is None or root.hex() != note.root:
        raise ChainFault(
            ChainFinding.REWRITTEN, "the path does not lead from the record to the signed root"
        )
    return this_hash


def _verdict(
    bundle: Bundle, note: Note, finding: ChainFinding, sentence: str, head: str | None
) -> Verdict:
    index = None if finding is ChainFinding.OK else bundle.index
    checked = int(finding is ChainFinding.OK)
    return Verdict(
        exit_code=int(finding),
        sentence=sentence,
        height=note.size,
        head=head,
        checkpoints=checked,
        index=index,
    )


def anchor(folder: Path, file: Path) -> Note:
    """Add the newest checkpoint to a file that the stack cannot rewrite; returns it.

    Raises UserError if there is none, or the file holds anything but checkpoints.
    """
    require_chain(folder)
    try:
        newest = last_note(folder / FILE)
        known = last_note(file)
        if newest is None:
            raise UserError(
                f"There is no checkpoint in {folder} yet; one is made every minute while it runs."
            )
        if known is None or known.text != newest.text:
            with file.open("a") as handle:
                handle.write(f"{newest.text}\n")
    except ValueError as error:
        raise UserError(f"{folder / FILE} or {file} does not hold checkpoints: {error}.") from error
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from error
    return newest
