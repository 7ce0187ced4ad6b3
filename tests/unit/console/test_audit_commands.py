import json
from pathlib import Path

import pytest

from services.auditor.chain.checkpoints import FILE, read_notes
from services.auditor.chain.signed_note import read_vkey, verify
from services.console.cli.app import run
from shared.runtime.signing import Signer
from tests.unit.auditor.chains import chain

THEN = "2024-01-05T17:01:00+00:00"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A chain, and the keys that a stack's environment pins it by."""
    signer, witness = Signer.generate(), Signer.generate()
    chain(tmp_path / "audit", signer)
    write_keys(tmp_path / "keys.json", auditor=signer, witness=witness)
    monkeypatch.setenv("KOBE_PUBLIC_KEYS_FILE", str(tmp_path / "keys.json"))
    monkeypatch.setenv("KOBE_AUDIT_DIR", str(tmp_path / "audit"))
    monkeypatch.setenv("KOBE_REDIS_URL", "redis://127.0.0.1:1")
    return tmp_path


def write_keys(file: Path, **signers: Signer) -> None:
    keys = [signer.public_key(owner) for owner, signer in signers.items()]
    text = [{"owner": key.owner, "key_id": key.key_id, "public": key.public} for key in keys]
    file.write_text(json.dumps(text))


def test_the_stack_s_chain_is_verified_by_the_stack_s_keys_without_naming_either(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "verify", "--as-of", THEN]) == 0
    assert "20 records, 4 checkpoints" in capsys.readouterr().out


def test_a_chain_is_verified_with_an_anchor(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain_folder, anchor = str(folder / "audit"), str(folder / "anchor.notes")
    assert run(["audit", "anchor", anchor, "--folder", chain_folder]) == 0
    assert run(["audit", "verify", chain_folder, "--anchor", anchor, "--as-of", THEN]) == 0
    assert "20 records, 5 checkpoints" in capsys.readouterr().out


def test_a_chain_whose_newest_checkpoint_is_old_is_stale_unless_a_time_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "verify"]) == 11
    assert "for an archived copy say --as-of" in capsys.readouterr().out
    assert run(["audit", "verify", "--as-of", "yesterday"]) == 64


def test_without_keys_it_says_so_with_a_code_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "keys.json").unlink()
    assert run(["audit", "verify", "--as-of", THEN]) == 10
    assert "key NOT pinned" in capsys.readouterr().out
    for command in (["prove", "7"], ["explain", "DEC"], ["anchor", str(folder / "anchor")]):
        assert run(["audit", *command]) == 10
    assert not (folder / "anchor").exists()


def test_other_keys_than_the_chain_s_are_a_bad_signature(folder: Path) -> None:
    write_keys(folder / "others.json", auditor=Signer.generate())
    others = ["--keys", str(folder / "others.json")]
    assert run(["audit", "verify", "--as-of", THEN, *others]) == 6
    assert run(["audit", "anchor", str(folder / "anchor"), *others]) == 6


def test_the_exit_code_is_the_finding_and_json_says_where(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "audit/20240105.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"seq":7,', b'"seq":8,'))
    assert run(["audit", "verify", str(folder / "audit"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["index"] == 8


@pytest.mark.parametrize("command", [["prove", "3"], ["explain", "DEC_X"], ["anchor", "FILE"]])
def test_nothing_is_told_from_a_chain_that_does_not_verify(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "audit/20240105.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"seq":7,', b'"seq":8,'))
    command = [str(folder / each) if each == "FILE" else each for each in command]
    assert run(["audit", *command]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "does not prove anything as it stands" in said.err
    assert not (folder / "FILE").exists()


def test_a_garbage_checkpoint_is_never_anchored(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "audit" / FILE).write_text("kobe81/audit/x\n3\nroot\n\n— kobe81 abc\n\n")
    assert run(["audit", "anchor", str(folder / "anchor")]) == 6
    assert not (folder / "anchor").exists()


def test_a_record_is_proved_and_the_proof_checked_without_the_chain(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = folder / "proof.json"
    assert run(["audit", "prove", "7", "--out", str(bundle)]) == 0
    assert run(["audit", "check", str(bundle), "--keys", str(folder / "keys.json")]) == 0
    assert "record 7 is among the first 10" in capsys.readouterr().out
    bundle.write_text(bundle.read_text().replace("AAPL", "MSFT"))
    assert run(["audit", "check", str(bundle)]) == 3


def test_the_keys_are_printed_as_other_tools_take_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "keys"]) == 0
    plain, timed, witness = (read_vkey(line) for line in capsys.readouterr().out.splitlines())
    (note, *_) = read_notes(folder / "audit" / FILE)
    assert len(verify(note.note, [plain, timed, witness])) == 2


def test_what_cannot_be_done_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "prove", "99"]) == 1
    assert run(["audit", "check", str(folder / "nowhere")]) == 1
    assert run(["audit", "explain", "DEC_NEVER"]) == 1
    assert run(["audit", "prove"]) == 64
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert all(line.startswith("kobe: ") for line in said)
