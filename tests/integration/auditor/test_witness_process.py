"""The witness as a process of its own: it can be asked, measured, and heard when it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.auditor.chain.checkpoints import read_notes
from services.auditor.chain.witness_files import WITNESSED
from shared.runtime.signing import Signer
from tests.servers import free_port
from tests.unit.auditor.chains import FIRST, chain, forged, payloads, relinked, resealed

ROOT = Path(__file__).resolve().parents[3]


class WitnessProcess:
    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.auditor, witness = Signer.generate(), Signer.generate()
        chain(folder / "audit", self.auditor)
        keys = [self.auditor.public_key("auditor"), witness.public_key("witness")]
        text = [{"owner": key.owner, "key_id": key.key_id, "public": key.public} for key in keys]
        (folder / "keys.json").write_text(json.dumps(text))
        (folder / "signing.key").write_text(witness.private_text())
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "KOBE_MODE": "sim",
            "KOBE_AUDIT_DIR": str(folder / "audit"),
            "KOBE_STATE_DIR": str(folder / "witness"),
            "KOBE_LOG_DIR": str(folder / "logs"),
            "KOBE_SIGNING_KEY_FILE": str(folder / "signing.key"),
            "KOBE_PUBLIC_KEYS_FILE": str(folder / "keys.json"),
            "KOBE_HTTP_PORT": str(self.port),
        }
        with (folder / "out.log").open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.auditor.witness"],
                env=environment,
                cwd=ROOT,
                stdout=out,
                stderr=out,
            )

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_for(self, path: str, code: int) -> str:
        deadline = time.monotonic() + 30
        while (answer := self.get(path))[0] != code:
            assert time.monotonic() < deadline, (answer, (self.folder / "out.log").read_text())
            time.sleep(0.1)
        return answer[1]


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[WitnessProcess]:
    process = WitnessProcess(tmp_path)
    yield process
    process.process.kill()
    process.process.wait(10)


def test_it_countersigns_answers_and_ends_when_told(witness: WitnessProcess) -> None:
    witness.wait_for("/readiness", 200)
    assert [note.size for note in read_notes(witness.folder / "witness" / WITNESSED)] == [
        5,
        10,
        15,
        20,
    ]
    _, text = witness.get("/metrics")
    assert 'kobe_witness_height{service="witness"} 20.0' in text
    assert 'kobe_witness_refusing{service="witness"} 0.0' in text
    witness.process.send_signal(signal.SIGTERM)
    assert witness.process.wait(10) == 0


def test_a_forged_chain_makes_it_unready_and_it_lives_on(witness: WitnessProcess) -> None:
    witness.wait_for("/readiness", 200)
    file = witness.folder / "audit" / FIRST
    records = payloads(file)
    records[7]["type"] = "NeverHappened"
    data = relinked(forged([*records, {"type": "More"}]))
    file.write_bytes(data)
    resealed(witness.folder / "audit", witness.auditor, data)
    body = witness.wait_for("/readiness", 503)
    assert "refuses to countersign" in body
    assert 'kobe_witness_refusing{service="witness"} 1.0' in witness.get("/metrics")[1]
    assert witness.process.poll() is None
