"""Chains to start from.

Written by the real journal, sealed by a real key; a test breaks what it is about.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from services.auditor.chain.checkpoints import FILE, append_note, write_note
from services.auditor.chain.journal import ChainJournal
from services.auditor.chain.record import chain_id, seal
from shared.runtime.signing import Signer

DAY = dt.date(2024, 1, 5)
FIRST = "20240105.jsonl"


def genesis(signer: Signer) -> dict[str, Any]:
    return {
        "type": "Genesis",
        "mode": "sim",
        "account": "sim",
        "auditor_key": {"key_id": signer.key_id, "public": signer.public.hex()},
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


def sealed(journal: ChainJournal, signer: Signer) -> None:
    """A checkpoint over what is there."""
    assert journal.genesis is not None
    root = journal.state.tree.root()
    note = write_note(signer, chain_id=chain_id(journal.genesis), size=journal.height, root=root)
    append_note(journal.folder / FILE, note)
    journal.keep_position()


def begun(folder: Path, signer: Signer) -> ChainJournal:
    journal = ChainJournal(folder)
    journal.append([genesis(signer)], day=DAY)
    return journal


def chain(folder: Path, signer: Signer, records: int = 20, every: int = 5) -> Path:
    """`records` in all, a checkpoint after each `every`; the path of its only file."""
    journal = begun(folder, signer)
    for number in range(1, records):
        journal.append([entry(number)], day=DAY)
        if journal.height % every == 0:
            sealed(journal, signer)
    journal.close()
    return folder / FIRST


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
