"""Packs the evidence of one session into a zip file that proves itself offline, and judges one.

Called by `kobe audit evidence` and `check`. The records are a run of the chain, tied to a signed
checkpoint by the subtrees around them; the rest is told from these records and can be told again.
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from services.auditor.chain import signed_note
from services.auditor.chain.checkpoints import FILE, Checkpoint, read_checkpoint, read_notes
from services.auditor.chain.day_files import whole_lines
from services.auditor.chain.merkle import leaf_hash, outer_ranges, root_from_run, roots_of
from services.auditor.chain.record import BrokenLink, NotCanonical, hash_of_line, open_line
from services.auditor.chain.trust import Trust, auditor_keys
from services.auditor.evidence.findings import ChainFinding, Verdict
from services.auditor.evidence.reconcile import Reconciliation, session_messages
from shared.domain.errors import UserError
from shared.schemas import messages as m
from shared.schemas.json_types import JsonMapping

PROOF, RECORDS = "proof.json", "records.jsonl"
ORDERS, DENIALS, RECONCILE, REPORT = "orders.json", "denials.json", "reconcile.json", "report.md"
# The fixed date of every entry: equal evidence makes equal bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


class RunProof(msgspec.Struct, frozen=True, kw_only=True):
    """Records `first` up to `stop` of the `note`'s; `prev_hash` is that before them."""

    session: str
    first: int
    stop: int
    prev_hash: str | None
    nodes: tuple[str, ...]
    note: str


def build_pack(
    folder: Path,
    session: str,
    out: Path,
    *,
    config: Mapping[str, bytes],
    reconciled: Reconciliation,
) -> RunProof:
    """Write the zip of a session, of a chain verified before.

    Raises UserError if the session is not in the chain, or not yet under a checkpoint.
    """
    found = list(session_messages(folder, session))
    if not found:
        raise UserError(f"The chain in {folder} holds nothing of session {session}.")
    proof, lines = _prove_run(folder, session, found[0][0], found[-1][0] + 1)
    messages = [message for _, message in found]
    files = {
        PROOF: msgspec.json.format(msgspec.json.encode(proof), indent=1),
        RECORDS: b"".join(line + b"\n" for line in lines),
        **_extracts(messages),
        RECONCILE: msgspec.json.format(msgspec.json.encode(reconciled), indent=1),
        REPORT: _report(proof, messages, reconciled).encode(),
        **{f"config/{name}": data for name, data in config.items()},
    }
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in sorted(files.items()):
                archive.writestr(zipfile.ZipInfo(name, _DATE), data, zipfile.ZIP_DEFLATED)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}.") from error
    return proof


def _prove_run(folder: Path, session: str, first: int, stop: int) -> tuple[RunProof, list[bytes]]:
    note = next((each for each in read_notes(folder / FILE) if each.size >= stop), None)
    if note is None:
        raise UserError(f"Session {session} is not yet under a checkpoint; wait a minute.")
    lines: list[bytes] = []
    before = b""

    def leaves() -> Iterator[bytes]:
        nonlocal before
        for index, line in enumerate(whole_lines(folder)):
            if index == first - 1:
                before = line
            if first <= index < stop:
                lines.append(line)
            yield leaf_hash(line)

    ranges = outer_ranges(first, stop, note.size)
    nodes = roots_of([*ranges, (stop - 1, stop)], leaves())[:-1]
    proof = RunProof(
        session=session,
        first=first,
        stop=stop,
        prev_hash=hash_of_line(before) if first else None,
        nodes=tuple(node.hex() for node in nodes),
        note=note.text,
    )
    return proof, lines


def _extracts(messages: Sequence[JsonMapping]) -> dict[str, bytes]:
    """What is only told from the records, so that a reader need not."""
    return {
        ORDERS: _extract(messages, {m.OrderApproved.__name__, m.OrderSubmitted.__name__}),
        DENIALS: _extract(messages, {m.OrderDenied.__name__}),
    }


def _extract(messages: Sequence[JsonMapping], kinds: set[str]) -> bytes:
    rows = [
        {"type": each["type"], "at": each["at"], **msgspec.json.decode(each["data"])}
        for each in messages
        if each["type"] in kinds
    ]
    return msgspec.json.format(msgspec.json.encode(rows, order="sorted"), indent=1)


def _report(proof: RunProof, messages: Sequence[JsonMapping], reconciled: Reconciliation) -> str:
    counts: dict[str, int] = {}
    for each in messages:
        counts[each["type"]] = counts.get(each["type"], 0) + 1
    pins = sorted({(each["config_pin"], each["code_digest"]) for each in messages})
    compared = (
        f"Compared with {', '.join(reconciled.sources) or 'nothing'}: "
        f"{len(reconciled.differences)} differences in {reconciled.chain_orders} orders."
    )
    lines = [
        f"# Session {proof.session}",
        "",
        f"Records {proof.first} to {proof.stop - 1}, tied to the checkpoint in {PROOF}.",
        "Judge them with `kobe audit check` and the auditor's key from a place of your own.",
        "",
        *(f"- {name}: {count}" for name, count in sorted(counts.items())),
        "",
        *(f"- configuration {pin}, code {code}" for pin, code in pins),
        "",
        compared,
        "",
    ]
    return "\n".join(lines)


# --- judging --------------------------------------------------------------------------------------


def check_pack(file: Path, trust: Trust) -> Verdict:
    """Judge a pack by the pinned key. Raises UserError if it is none."""
    try:
        with zipfile.ZipFile(file) as archive:
            proof = msgspec.json.decode(archive.read(PROOF), type=RunProof)
            lines = archive.read(RECORDS).splitlines()
            extracts = {name: archive.read(name) for name in (ORDERS, DENIALS)}
        note = read_checkpoint(proof.note)
        nodes = [bytes.fromhex(node) for node in proof.nodes]
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, msgspec.MsgspecError) as error:
        raise UserError(f"{file} is no evidence of `kobe audit evidence`: {error}.") from error
    finding, sentence = _judge(proof, note, lines, nodes, trust)
    if finding is ChainFinding.OK and _extracts(_of_session(lines, proof.session)) != extracts:
        finding = ChainFinding.REWRITTEN
        sentence = f"{ORDERS} or {DENIALS} does not say what the records say"
    return Verdict(
        exit_code=int(finding),
        sentence=sentence,
        height=len(lines),
        head=hash_of_line(lines[-1]) if lines else None,
        checkpoints=int(finding is ChainFinding.OK),
        is_proof=finding is ChainFinding.OK,
    )


def _of_session(lines: Sequence[bytes], session: str) -> list[JsonMapping]:
    messages = (msgspec.json.decode(line)["payload"].get("message") for line in lines)
    return [each for each in messages if each and each.get("session") == session]


def _judge(
    proof: RunProof, note: Checkpoint, lines: list[bytes], nodes: list[bytes], trust: Trust
) -> tuple[ChainFinding, str]:
    previous = proof.prev_hash
    for index, line in enumerate(lines, start=proof.first):
        try:
            _, previous = open_line(line, previous)
        except BrokenLink as error:
            return ChainFinding.BROKEN_LINK, f"record {index}: {error}"
        except NotCanonical as error:
            return ChainFinding.NOT_CANONICAL, f"record {index}: {error}"
    if trust.auditor is None:
        return ChainFinding.KEY_NOT_PINNED, "key NOT pinned: evidence is judged by it; give --keys"
    keys = auditor_keys(trust.auditor, note.chain_id)
    try:
        held = signed_note.verify(note.note, (*keys, *trust.witnesses))
    except ValueError:
        held = []
    if not any(each.key in keys for each in held):
        return ChainFinding.BAD_SIGNATURE, "the checkpoint is not signed by the auditor's key"
    leaves = [leaf_hash(line) for line in lines]
    if len(lines) != proof.stop - proof.first or (
        root_from_run(leaves, proof.first, note.size, nodes) != note.root
    ):
        return ChainFinding.REWRITTEN, "the records are not those that the checkpoint covers"
    sentence = (
        f"records {proof.first} to {proof.stop - 1} of chain {note.chain_id} are those signed, "
        f"and all of session {proof.session} that lies between them"
    )
    return ChainFinding.OK, sentence
