import json
from pathlib import Path

import pytest

from services.console.cli.app import run
from shared.runtime.signing import Signer
from tests.unit.auditor.chains import chain


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    signer, witness = Signer.generate(), Signer.generate()
    chain(tmp_path / "audit", signer)
    keys = [key.public_key(owner) for key, owner in ((signer, "auditor"), (witness, "witness"))]
    text = [{"owner": key.owner, "key_id": key.key_id, "public": key.public} for key in keys]
    (tmp_path / "keys.json").write_text(json.dumps(text))
    return tmp_path


def test_a_chain_is_verified_with_a_pinned_key_and_an_anchor(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain_folder, anchor = str(folder / "audit"), str(folder / "anchor.notes")
    assert run(["audit", "anchor", anchor, "--folder", chain_folder]) == 0
    assert (
        run(
            [
                "audit",
                "verify",
                chain_folder,
                "--keys",
                str(folder / "keys.json"),
                "--anchor",
                anchor,
            ]
        )
        == 0
    )
    assert "20 records, 5 checkpoints" in capsys.readouterr().out


def test_the_exit_code_is_the_finding_and_json_says_where(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "audit/20240105.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"seq":7,', b'"seq":8,'))
    assert run(["audit", "verify", str(folder / "audit"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["index"] == 7


def test_a_record_is_proved_and_the_proof_checked_without_the_chain(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = folder / "proof.json"
    assert (
        run(["audit", "prove", "7", "--out", str(bundle), "--folder", str(folder / "audit")]) == 0
    )
    assert run(["audit", "check", str(bundle), "--keys", str(folder / "keys.json")]) == 0
    assert "record 7 is among the first 10" in capsys.readouterr().out
    bundle.write_text(bundle.read_text().replace("AAPL", "MSFT"))
    assert run(["audit", "check", str(bundle)]) == 3


def test_what_cannot_be_done_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "prove", "99", "--folder", str(folder / "audit")]) == 1
    assert run(["audit", "check", str(folder / "nowhere")]) == 1
    assert run(["audit", "explain", "DEC_NEVER", "--folder", str(folder / "audit")]) == 1
    assert run(["audit", "prove", "--folder", str(folder / "audit")]) == 64
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert all(line.startswith("kobe: ") for line in said)
