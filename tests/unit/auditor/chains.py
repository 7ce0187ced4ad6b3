"""Chains to start from.

Written by the real journal, sealed by a real key; a test breaks what it is about.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from services.auditor.chain.checkpoints import FILE, append_note, sign_checkpoint
from services.auditor.chain.journal import ChainJournal
from services.auditor.chain.memory import MEMORY
from services.auditor.chain.merkle import Frontier, leaf_hash
from services.auditor.chain.record import chain_id, seal
from services.auditor.chain.trust import Trust
from services.auditor.evidence.findings import Verdict
from services.auditor.evidence.verify import verify_folder
from shared.runtime.signing import Signer
from tests.builders import NOON

DAY = dt.date(2024, 1, 5)
AT = int(NOON.timestamp())
FIRST = "20240105.jsonl"


def genesis(signer: Signer, records: int = 256) -> dict[str, Any]:
    return {
        "type": "Genesis",
        "mode": "sim",
        "account": "sim",
        "auditor_key": {"key_id": signer.key_id, "public": signer.public.hex()},
        "cadence": {"records": records, "seconds": 60},
    }


def entry(number: int, **changes: Any) -> dict[str, Any]:
    place = {"stream": "kobe:orders", "entry_id": f"{number}-0"}
    said = {
        "writer": "risk-gate",
        "seq": number,
        "type": "OrderDenied",
        "message": {"data": '{"symbol":"AAPL"}'},
    }
    return {**place, **said, **changes}


def memory_of(folder: Path) -> Path:
    """Where the auditor of that chain keeps what it remembers: never in the chain's own folder."""
    return folder.with_name(f"{folder.name}-state") / MEMORY


def opened(folder: Path, signer: Signer, **options: Any) -> ChainJournal:
    """As the auditor opens it when it starts; a torn end is mended."""
    journal = ChainJournal(folder, signer, memory=memory_of(folder), **options)
    journal.mend()
    return journal


def begun(folder: Path, signer: Signer, records: int = 256) -> ChainJournal:
    journal = opened(folder, signer)
    journal.remember()
    journal.append([genesis(signer, records)], day=DAY)
    return journal


def naming(journal: ChainJournal) -> dict[str, Any]:
    """The record that follows a checkpoint."""
    root = journal.state.tree.root().hex()
    return {"type": "Sealed", "at": "now", "size": journal.height, "root": root}


def grown(journal: ChainJournal, *entries: Mapping[str, Any]) -> None:
    """Append them, after the record that names the checkpoint before, if there is one."""
    first = [naming(journal)] if journal.sealed_size == journal.height else []
    journal.append([*first, *entries], day=DAY)


def sealed(journal: ChainJournal) -> None:
    """A checkpoint over what is there."""
    journal.seal(at=NOON)


def chain(folder: Path, signer: Signer, records: int = 20, every: int = 5) -> Path:
    """`records` in all, a checkpoint after each `every`; the path of its only file."""
    journal, number = begun(folder, signer, every), 0
    while journal.height < records:
        if journal.unsealed == 0:
            journal.append([naming(journal)], day=DAY)
        else:
            number += 1
            journal.append([entry(number)], day=DAY)
        if journal.height % every == 0:
            sealed(journal)
    journal.close()
    return folder / FIRST


def forged(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same records with right roots in those that name checkpoints."""
    tree, head, result = Frontier.empty(), None, []
    for record in records:
        if record.get("type") == "Sealed":
            record = {**record, "size": tree.size, "root": tree.root().hex()}
        line, head = seal(record, head)
        tree.append(leaf_hash(line))
        result.append(dict(record))
    return result


def resealed(folder: Path, signer: Signer, lines: bytes) -> None:
    """Checkpoints over a rewritten chain, by one who holds the key.

    At each record that names one.
    """
    (folder / FILE).unlink(missing_ok=True)
    tree, parsed = Frontier.empty(), [msgspec.json.decode(each) for each in lines.splitlines()]
    name = chain_id(parsed[0]["payload"])
    ends = [index for index, each in enumerate(parsed) if each["payload"].get("type") == "Sealed"]
    for index, line in enumerate(lines.splitlines(), start=1):
        tree.append(leaf_hash(line))
        if index in ends or index == len(parsed):
            note = sign_checkpoint(signer, chain_id=name, size=index, root=tree.root(), at=AT)
            append_note(folder / FILE, note.text)


def payloads(file: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line)["payload"] for line in file.read_bytes().splitlines()]


def relinked(records: Sequence[Mapping[str, Any]]) -> bytes:
    """The same records with right hashes throughout.

    What a forger who knows the format would write.
    """

    def lines() -> Iterator[bytes]:
        head = None
        for record in records:
            line, head = seal(record, head)
            yield line + b"\n"

    return b"".join(lines())


def judge(folder: Path, signer: Signer, **options: Any) -> Verdict:
    """By the pinned key of the auditor."""
    return verify_folder(folder, trust=Trust(signer.public), **options)
