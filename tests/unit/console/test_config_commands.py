import json
from pathlib import Path

import pytest

from services.auditor.stream_sweep import StreamEntry
from services.console.cli.app import run
from shared.runtime.config.settings import DEFAULT_FILE
from shared.runtime.signing import Signer
from shared.schemas.envelope import to_fields
from tests.builders import approval, envelope
from tests.unit.auditor.chains import begun, grown, sealed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The shipped settings with one number changed for paper."""
    text = DEFAULT_FILE.read_text()
    assert "checkpoint_records = 256" in text
    (tmp_path / "kobe.toml").write_text(
        text.replace("checkpoint_records = 256", "checkpoint_records = 128")
    )
    return tmp_path / "kobe.toml"


def test_every_setting_is_shown_as_the_mode_resolves_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["config", "show", "--mode", "sim"]) == 0
    assert 'timetable.clock = "replay"' in capsys.readouterr().out.splitlines()
    assert run(["config", "show", "--mode", "paper", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["timetable"]["clock"] == "system"


def test_what_a_service_would_refuse_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "validate", str(file)]) == 0
    file.write_text(file.read_text().replace("checkpoint_records = 128", "checkpoint_records = 0"))
    assert run(["config", "validate", str(file)]) == 3
    file.write_text(file.read_text().replace("checkpoint_records = 0", "checkpoint_record = 128"))
    assert run(["config", "validate", str(file)]) == 3
    assert "checkpoint_records" in capsys.readouterr().err


def test_two_files_are_compared_setting_by_setting(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "diff", str(file), str(file)]) == 0
    capsys.readouterr()
    assert run(["config", "diff", str(DEFAULT_FILE), str(file), "--json"]) == 1
    changed = json.loads(capsys.readouterr().out)["changed"]
    assert changed == {"audit.checkpoint_records": {"old": 256, "new": 128}}


def test_the_pin_is_the_one_that_a_service_demands(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "pin", str(file)]) == 0
    monkeypatch.setenv("KOBE_CONFIG_PIN", capsys.readouterr().out.strip())
    assert run(["config", "validate", str(file)]) == 0
    assert run(["config", "validate", str(DEFAULT_FILE)]) == 3


def test_the_pins_of_every_session_are_told_from_the_chain_and_a_drift_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    signer = Signer.generate()
    journal = begun(tmp_path / "audit", signer)
    sealed(journal)

    def record(number: int, pin: str) -> None:
        fields = to_fields(envelope(approval(), seq=number, config_pin=pin, type="OrderDenied"))
        grown(journal, StreamEntry("kobe:orders", f"{number}-0", fields).payload())
        sealed(journal)

    key = signer.public_key("auditor")
    keys = [{"owner": key.owner, "key_id": key.key_id, "public": key.public}]
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    monkeypatch.setenv("KOBE_AUDIT_DIR", str(tmp_path / "audit"))
    monkeypatch.setenv("KOBE_PUBLIC_KEYS_FILE", str(tmp_path / "keys.json"))
    monkeypatch.setenv("KOBE_REDIS_URL", "redis://127.0.0.1:1")
    record(1, "first")
    assert run(["config", "pins", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["sessions"]
    assert told == [{"session": "2024-01-05", "config_pins": ["first"], "code_digests": ["code"]}]
    record(2, "second")
    assert run(["config", "pins"]) == 1
    journal.close()
