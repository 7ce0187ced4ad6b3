"""Proves offline that one record is in the chain: the record, its path to a root, the signature.

Called by `kobe audit prove` and `check`. Who checks needs the bundle and the auditor's public key,
nothing else; the other records stay private. The same proof can be had as a C2SP tlog-proof.
"""

import base64
from collections.abc import Iterator
from pathlib import Path

import msgspec

from services.auditor.chain import signed_note
from services.auditor.chain.checkpoints import FILE, Checkpoint, read_checkpoint, read_notes
from services.auditor.chain.day_files import require_chain, whole_lines
from services.auditor.chain.merkle import inclusion_ranges, leaf_hash, root_from_inclusion, roots_of
from services.auditor.chain.record import BrokenLink, NotCanonical, open_line
from services.auditor.chain.signed_note import VerifiedSignature
from services.auditor.chain.trust import Trust, auditor_keys
from services.auditor.evidence.findings import ChainFault, ChainFinding, Verdict
from shared.domain.errors import UserError

TLOG_PROOF = "c2sp.org/tlog-proof@v1"


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """`index` counts from 0; `proof` is hex, leaf to root; `public` is the chain's own word.

    Nobody believes `public`: it only helps to find which key to pin.
    """

    index: int
    record: str
    proof: tuple[str, ...]
    note: str
    public: str

    def tlog_proof(self) -> str:
        """https://c2sp.org/tlog-proof; the record itself is the extra data."""
        extra = base64.b64encode(self.record.encode()).decode()
        path = "".join(f"{base64.b64encode(bytes.fromhex(node)).decode()}\n" for node in self.proof)
        return f"{TLOG_PROOF}\nextra {extra}\nindex {self.index}\n{path}\n{self.note}"


def prove(folder: Path, index: int) -> Bundle:
    """In one pass over a chain that was verified before.

    Raises UserError if there is no such record, or no checkpoint over it yet.
    """
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


def _covering(folder: Path, index: int) -> Checkpoint:
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


def check(data: bytes, trust: Trust) -> Verdict:
    """Judge a bundle by pinned keys; without one the verdict says KEY_NOT_PINNED at best."""
    try:
        bundle = msgspec.json.decode(data, type=Bundle)
        note = read_checkpoint(bundle.note)
        key = trust.auditor or bytes.fromhex(bundle.public)
        proof = [bytes.fromhex(node) for node in bundle.proof]
    except (msgspec.MsgspecError, ValueError) as error:
        raise UserError(f"This is not a proof made by `kobe audit prove`: {error}.") from error
    try:
        this_hash, held = _judge(bundle, note, proof, Trust(key, trust.witnesses))
    except ChainFault as fault:
        return _verdict(bundle, note, fault.finding, str(fault), None)
    if trust.auditor is None:
        sentence = (
            "key NOT pinned: the proof holds by the key that it brings along itself, "
            "which anybody can make; give --keys"
        )
        return _verdict(bundle, note, ChainFinding.KEY_NOT_PINNED, sentence, this_hash)
    names = {each.key.name for each in held if each.key.name != note.origin}
    seen = f", and vouched for by {', '.join(sorted(names))}" if names else ""
    sentence = (
        f"record {bundle.index} is among the first {note.size} of chain {note.chain_id}, "
        f"as signed{seen}"
    )
    return _verdict(bundle, note, ChainFinding.OK, sentence, this_hash)


def _judge(
    bundle: Bundle, note: Checkpoint, proof: list[bytes], trust: Trust
) -> tuple[str, list[VerifiedSignature]]:
    line = bundle.record.encode()
    try:
        _, this_hash = open_line(line, msgspec.json.decode(line)["prev_hash"])
    except BrokenLink as error:
        raise ChainFault(ChainFinding.BROKEN_LINK, f"the record does not hold: {error}") from error
    except (NotCanonical, msgspec.MsgspecError, KeyError, TypeError, AttributeError) as error:
        raise ChainFault(
            ChainFinding.NOT_CANONICAL, f"the record is not one of a chain: {error}"
        ) from error
    held = _signatures(note, trust)
    root = root_from_inclusion(leaf_hash(line), bundle.index, note.size, proof)
    if root is None or root != note.root:
        raise ChainFault(
            ChainFinding.REWRITTEN, "the path does not lead from the record to the signed root"
        )
    return this_hash, held


def _signatures(note: Checkpoint, trust: Trust) -> list[VerifiedSignature]:
    keys = auditor_keys(trust.auditor or b"", note.chain_id)
    try:
        held = signed_note.verify(note.note, (*keys, *trust.witnesses))
    except ValueError:
        held = []
    if not any(each.key in keys for each in held):
        sentence = "the checkpoint is not signed by the auditor's key"
        raise ChainFault(ChainFinding.BAD_SIGNATURE, sentence)
    return held


def _verdict(
    bundle: Bundle, note: Checkpoint, finding: ChainFinding, sentence: str, head: str | None
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
        is_proof=finding is ChainFinding.OK,
    )
