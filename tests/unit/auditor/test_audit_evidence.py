"""The evidence of one session: packed, judged offline, compared with broker and journal."""

import datetime as dt
import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.auditor.chain.merkle import leaf_hash, outer_ranges, root_from_run, root_of, roots_of
from services.auditor.chain.trust import Trust
from services.auditor.evidence.pack import ORDERS, RECORDS, build_pack, check_pack
from services.auditor.evidence.reconcile import reconcile
from services.auditor.stream_sweep import StreamEntry
from services.executor.orders.journal import OrderJournal, RowState
from shared.domain.errors import UserError
from shared.runtime.signing import Signer
from shared.schemas.envelope import to_fields
from shared.schemas.messages import Message, OrderEnded, OrderSubmitted
from shared.schemas.streams import STREAM_OF
from shared.schemas.values import Ending, Purpose, Side
from tests.builders import NOON, SESSION, approval, envelope
from tests.unit.auditor.chains import begun, entry, grown, sealed

DAY = SESSION.isoformat()
ORDER = {"client_order_id": approval().client_order_id, "symbol": "AAPL"}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_every_run_of_leaves_leads_to_the_root_and_no_other_does(size: int) -> None:
    leaves = [leaf_hash(bytes([each])) for each in range(size)]
    root = root_of(leaves)
    for first in range(size):
        for stop in range(first + 1, size + 1):
            nodes = roots_of(outer_ranges(first, stop, size), leaves)
            run = leaves[first:stop]
            assert root_from_run(run, first, size, nodes) == root
            assert root_from_run(run, first + 1, size, nodes) != root
            assert root_from_run([*run[:-1], b"\0" * 32], first, size, nodes) != root
            assert root_from_run(run, first, size, [*nodes, root]) is None
    with pytest.raises(IndexError):
        outer_ranges(0, size + 1, size)


def told(number: int, message: Message, **changes: Any) -> dict[str, Any]:
    fields = to_fields(envelope(message, seq=number, **changes))
    return StreamEntry(STREAM_OF[type(message)].key, f"{number}-0", fields).payload()


def submitted() -> OrderSubmitted:
    return OrderSubmitted(
        client_order_id=approval().client_order_id,
        decision_id=approval().decision_id,
        broker_order_id="b1",
        strategy="donchian",
        symbol="AAPL",
        side=Side.BUY,
        purpose=Purpose.ENTRY,
        qty=3,
        limit_price=Decimal("180.19"),
    )


def ended(filled: int) -> OrderEnded:
    return OrderEnded(
        client_order_id=approval().client_order_id,
        decision_id=approval().decision_id,
        strategy="donchian",
        symbol="AAPL",
        side=Side.BUY,
        purpose=Purpose.ENTRY,
        ending=Ending.FILLED,
        filled_qty=filled,
        average_price=Decimal("180.00"),
    )


@pytest.fixture
def signer() -> Signer:
    return Signer.generate()


@pytest.fixture
def folder(tmp_path: Path, signer: Signer) -> Path:
    """A session between two others, sealed."""
    journal = begun(tmp_path / "audit", signer)
    sealed(journal)
    earlier = {"session": SESSION - dt.timedelta(days=1)}
    grown(journal, told(1, approval(client_order_id="k81-before"), **earlier))
    grown(journal, told(2, approval()), told(1, submitted()), told(2, ended(3)))
    sealed(journal)
    grown(journal, entry(3))
    sealed(journal)
    journal.close()
    return tmp_path / "audit"


def pack(folder: Path, out: Path) -> Path:
    reconciled = reconcile(folder, DAY, broker=[])
    build_pack(folder, DAY, out, config={"kobe.toml": b"x = 1"}, reconciled=reconciled)
    return out


def test_a_session_is_packed_and_judged_without_the_chain(
    folder: Path, tmp_path: Path, signer: Signer
) -> None:
    file = pack(folder, tmp_path / "evidence.zip")
    verdict = check_pack(file, Trust(signer.public))
    assert (verdict.exit_code, verdict.height) == (0, 3)
    with zipfile.ZipFile(file) as archive:
        assert sorted(archive.namelist()) == [
            "config/kobe.toml",
            "denials.json",
            "orders.json",
            "proof.json",
            "reconcile.json",
            "records.jsonl",
            "report.md",
        ]
        assert [each["type"] for each in json.loads(archive.read(ORDERS))] == [
            "OrderApproved",
            "OrderSubmitted",
        ]
    assert file.read_bytes() == pack(folder, tmp_path / "again.zip").read_bytes()


def altered(file: Path, name: str, old: bytes, new: bytes) -> Path:
    with zipfile.ZipFile(file) as archive:
        files = {each: archive.read(each) for each in archive.namelist()}
    assert old in files[name]
    files[name] = files[name].replace(old, new, 1)
    out = file.with_name("altered.zip")
    with zipfile.ZipFile(out, "w") as archive:
        for each, data in files.items():
            archive.writestr(each, data)
    return out


@pytest.mark.parametrize(
    ("name", "old", "new", "code"),
    [
        (RECORDS, b"AAPL", b"MSFT", 3),
        (ORDERS, b"AAPL", b"MSFT", 5),
        ("proof.json", b'"first": 3', b'"first": 2', 5),
        ("proof.json", b"audit/", b"audit/0", 6),
    ],
)
def test_a_pack_that_was_altered_is_told(
    folder: Path, tmp_path: Path, signer: Signer, name: str, old: bytes, new: bytes, code: int
) -> None:
    file = altered(pack(folder, tmp_path / "evidence.zip"), name, old, new)
    assert check_pack(file, Trust(signer.public)).exit_code == code


def test_a_pack_is_judged_by_a_key_from_elsewhere(folder: Path, tmp_path: Path) -> None:
    file = pack(folder, tmp_path / "evidence.zip")
    assert check_pack(file, Trust()).exit_code == 10
    assert check_pack(file, Trust(Signer.generate().public)).exit_code == 6


def test_what_is_no_pack_and_a_session_that_was_not_are_one_sentence(
    folder: Path, tmp_path: Path, signer: Signer
) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match="is no evidence"):
        check_pack(tmp_path / "x.zip", Trust(signer.public))
    reconciled = reconcile(folder, "2020-01-01")
    with pytest.raises(UserError, match="holds nothing of session"):
        build_pack(folder, "2020-01-01", tmp_path / "y", config={}, reconciled=reconciled)


# --- comparison -----------------------------------------------------------------------------------


def differences(folder: Path, *rows: dict[str, Any]) -> list[str]:
    return [each.sentence for each in reconcile(folder, DAY, broker=rows).differences]


def test_an_order_that_the_broker_filled_as_the_chain_says_agrees(folder: Path) -> None:
    assert differences(folder, {**ORDER, "filled_qty": "3"}) == []


def test_each_way_in_which_chain_and_broker_differ_is_told(folder: Path) -> None:
    assert differences(folder) == ["the broker does not list it"]
    assert differences(folder, {**ORDER, "filled_qty": "2"}) == [
        "2 shares filled at the broker, 3 in the chain"
    ]
    foreign = {"client_order_id": "by-hand", "symbol": "AAPL", "submitted_at": f"{DAY}T15:00:00Z"}
    ours = {**foreign, "client_order_id": "k81-abcdefghijklmnopqrstuvwxy2"}
    whole = {**ORDER, "filled_qty": "3"}
    assert differences(folder, whole, foreign) == []
    assert differences(folder, whole, ours) == ["the chain does not know it"]
    with pytest.raises(UserError, match="for a number of shares"):
        differences(folder, {**ORDER, "filled_qty": "many"})


def test_the_executor_s_journal_must_know_every_order_and_its_end(
    folder: Path, tmp_path: Path
) -> None:
    journal = OrderJournal(tmp_path / "journal.sqlite")

    def told() -> list[str]:
        found = reconcile(folder, DAY, journal=tmp_path / "journal.sqlite")
        return [each.sentence for each in found.differences]

    assert told() == ["the journal does not know it"]
    journal.claim(approval().decision_id, approval().client_order_id, "digest", at=NOON)
    assert told() == ["ended in the chain (filled), still sending in the journal"]
    journal.note(approval().decision_id, RowState.ENDED)
    assert told() == []
    journal.close()


def test_a_journal_that_cannot_be_read_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        reconcile(folder, DAY, journal=tmp_path / "nowhere.sqlite")
