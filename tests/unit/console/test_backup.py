"""A backup is whole or refused, and what is restored is gone on with."""

import datetime as dt
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from services.auditor.chain.journal import ChainJournal
from services.auditor.chain.memory import MEMORY
from services.auditor.chain.trust import Trust, load_trust
from services.auditor.evidence.verify import verify_folder
from services.auditor.witness.witness import Witness
from services.console.cli.app import run
from services.console.stack import backup
from services.executor.orders.journal import OrderJournal
from shared.domain.errors import UserError
from shared.runtime.clock import ManualClock
from shared.runtime.signing import Signer
from tests.builders import NOON, approval
from tests.unit.auditor.chains import FIRST, chain, entry, grown, opened


class Stack:
    def __init__(self, folder: Path) -> None:
        self.folder, self.signer, witness = folder, Signer.generate(), Signer.generate()
        chain(folder / "audit", self.signer)
        (folder / "witness").mkdir()
        Witness(
            folder / "audit", folder / "witness", witness, self.signer.public, ManualClock(NOON)
        ).look()
        journal = OrderJournal(folder / "executor.sqlite")
        journal.claim(approval().decision_id, approval().client_order_id, "digest", at=NOON)
        journal.close()
        (folder / "kobe.toml").write_text("x = 1\n")
        keys = [self.signer.public_key("auditor"), witness.public_key("witness")]
        text = [{"owner": key.owner, "key_id": key.key_id, "public": key.public} for key in keys]
        (folder / "keys.json").write_text(json.dumps(text))


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    stack = Stack(tmp_path / "stack")
    for name, place in {
        "KOBE_AUDIT_DIR": "audit",
        "KOBE_WITNESS_DIR": "witness",
        "KOBE_PUBLIC_KEYS_FILE": "keys.json",
        "KOBE_CONFIG": "kobe.toml",
        "KOBE_REDIS_PASSWORD_FILE": "nowhere",
    }.items():
        monkeypatch.setenv(name, str(stack.folder / place))
    monkeypatch.setenv("KOBE_REDIS_URL", "redis://127.0.0.1:1")
    return stack


def create(stack: Stack, out: Path) -> int:
    journal = str(stack.folder / "executor.sqlite")
    return run(["backup", "create", str(out), "--journal", journal])


def test_a_backup_is_created_listed_verified_and_restored_into_an_empty_folder(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, into = tmp_path / "one.zip", tmp_path / "new"
    assert create(stack, file) == 0
    assert run(["backup", "list", str(tmp_path), "--json"]) == 0
    listed: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [each["records"] for each in listed["backups"].values()] == [20]
    assert run(["backup", "verify", str(file)]) == 0
    assert run(["backup", "restore", str(file), "--into", str(into)]) == 0
    for name in (f"audit/{FIRST}", "audit/checkpoints.notes", "config/kobe.toml"):
        assert (into / name).read_bytes()
    assert (into / "audit" / FIRST).read_bytes() == (stack.folder / "audit" / FIRST).read_bytes()
    restored = OrderJournal(into / "journal" / "executor.sqlite")
    assert restored.knows(approval().client_order_id)
    restored.close()


def test_the_auditor_goes_on_with_what_was_restored(stack: Stack, tmp_path: Path) -> None:
    file, into = tmp_path / "one.zip", tmp_path / "new"
    create(stack, file)
    backup.restore(file, into, load_trust(stack.folder / "keys.json"))
    memory = into / "state" / "auditor" / MEMORY
    journal = ChainJournal(into / "audit", stack.signer, memory=memory)
    assert journal.memory is not None
    assert journal.memory.position.height == journal.height == 20
    journal.close()


def test_a_chain_that_grows_is_backed_up_whole(stack: Stack, tmp_path: Path) -> None:
    """What no checkpoint covers yet is left out; what is copied verifies."""
    journal = opened(stack.folder / "audit", stack.signer)
    grown(journal, entry(90), entry(91))
    journal.close()
    file = tmp_path / "one.zip"
    assert create(stack, file) == 0
    assert backup.read_manifest(file).records == 20


def test_no_secret_is_in_it(stack: Stack, tmp_path: Path) -> None:
    create(stack, tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {
            "manifest.json",
            "audit",
            "witness",
            "journal",
            "config",
            "redis",
        }


def test_a_chain_that_does_not_verify_is_not_packed(stack: Stack, tmp_path: Path) -> None:
    file = stack.folder / "audit" / FIRST
    file.write_bytes(file.read_bytes().replace(b"AAPL", b"MSFT", 1))
    assert create(stack, tmp_path / "one.zip") == 3
    assert not (tmp_path / "one.zip").exists()


@pytest.mark.parametrize("name", [f"audit/{FIRST}", "config/kobe.toml"])
def test_a_backup_that_was_altered_is_neither_believed_nor_restored(
    stack: Stack, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    create(stack, tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        files = {each: archive.read(each) for each in archive.namelist()}
    files[name] = files[name].replace(b"1", b"2", 1)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for each, data in files.items():
            archive.writestr(each, data)
    for command in (["verify"], ["restore", "--into", str(tmp_path / "new")]):
        assert run(["backup", *command, str(tmp_path / "two.zip")]) == 1
        assert "is not what was packed" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_nothing_is_replaced(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "one.zip"
    create(stack, file)
    assert create(stack, file) == 1
    assert run(["backup", "restore", str(file), "--into", str(stack.folder)]) == 1


def test_a_name_that_leads_out_of_the_folder_is_refused(stack: Stack, tmp_path: Path) -> None:
    made_at = dt.datetime(2024, 1, 5, tzinfo=dt.UTC).isoformat()
    manifest = {"made_at": made_at, "records": 1, "head": None, "files": {"../x": "00"}}
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("../x", b"hello")
    with pytest.raises(UserError, match="outside of itself"):
        backup.verify(tmp_path / "bad.zip", Trust(stack.signer.public))


def test_without_a_pinned_key_nothing_is_packed(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOBE_PUBLIC_KEYS_FILE", str(tmp_path / "nowhere"))
    assert create(stack, tmp_path / "one.zip") == 10
    assert verify_folder(stack.folder / "audit", trust=Trust(stack.signer.public)).valid
