"""A witness elsewhere, spoken to over HTTP as tlog-witness says.

Here one written from that page.
"""

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.auditor.chain import signed_note
from services.auditor.chain.checkpoints import FILE, read_checkpoint, read_notes
from services.auditor.chain.merkle import is_consistent
from services.auditor.chain.signed_note import Algorithm, NoteKey
from services.auditor.chain.trust import Trust, auditor_keys
from services.auditor.evidence.anchor import anchor
from services.auditor.evidence.foreign_witness import ask_witness
from services.auditor.evidence.verify import verify_folder
from shared.domain.errors import TransientError, UserError
from shared.runtime.signing import Signer
from tests.unit.auditor.chains import AT, chain, forged, payloads, relinked, resealed

NAME = "witness.example/w1"


class Elsewhere:
    """Keeps the newest checkpoint it has signed, and signs only what grew from it."""

    def __init__(self, log_key: bytes) -> None:
        self.signer, self.log_key = Signer.generate(), log_key
        self.size, self.root = 0, b""
        self.requests = 0

    def answer(self, body: str) -> tuple[int, str, str]:
        self.requests += 1
        head, _, text = body.partition("\n\n")
        old_line, *proof = head.split("\n")
        note = read_checkpoint(text)
        if not signed_note.verify(note.note, auditor_keys(self.log_key, note.chain_id)):
            return 403, "", "text/plain"
        if int(old_line.removeprefix("old ")) != self.size:
            return 409, f"{self.size}\n", "text/x.tlog.size"
        nodes = [base64.b64decode(each) for each in proof]
        if self.size and not is_consistent(self.size, self.root, note.size, note.root, nodes):
            return 422, "not consistent", "text/plain"
        self.size, self.root = note.size, note.root
        return 200, signed_note.cosign(self.signer, NAME, note.note.body, AT).line(), "text/plain"


@pytest.fixture
def log() -> Signer:
    return Signer.generate()


@pytest.fixture
def elsewhere(log: Signer) -> Iterator[tuple[Elsewhere, str]]:
    witness = Elsewhere(log.public)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            assert self.path == "/add-checkpoint"
            code, text, kind = witness.answer(body)
            self.send_response(code)
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield witness, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def key_of(witness: Elsewhere) -> NoteKey:
    return NoteKey(NAME, Algorithm.COSIGNATURE, witness.signer.public)


def test_growth_is_countersigned_and_what_was_signed_is_an_anchor(
    tmp_path: Path, log: Signer, elsewhere: tuple[Elsewhere, str]
) -> None:
    witness, url = elsewhere
    folder, file = tmp_path / "chain", tmp_path / "anchors"
    chain(folder, log)
    for note in list(read_notes(folder / FILE))[1:]:
        anchor(ask_witness(folder, note, url, key_of(witness)), file)
    assert [note.size for note in read_notes(file)] == [10, 15, 20]
    # The first is signed as it comes; later ones only after the witness has said how far it is.
    assert witness.requests == 1 + 2 + 2
    trust = Trust(log.public, (key_of(witness),))
    verdict = verify_folder(folder, trust=trust, anchors=[file])
    assert (verdict.exit_code, verdict.cosigned) == (0, 20)


def test_a_second_history_is_not_countersigned(
    tmp_path: Path, log: Signer, elsewhere: tuple[Elsewhere, str]
) -> None:
    witness, url = elsewhere
    path = chain(tmp_path, log)
    notes = list(read_notes(tmp_path / FILE))
    ask_witness(tmp_path, notes[1], url, key_of(witness))
    records = payloads(path)
    records[3]["type"] = "NeverHappened"
    path.write_bytes(data := relinked(forged(records)))
    resealed(tmp_path, log, data)
    (*_, newest) = read_notes(tmp_path / FILE)
    with pytest.raises(UserError, match="does not countersign 20 records: 422"):
        ask_witness(tmp_path, newest, url, key_of(witness))
    with pytest.raises(UserError, match="it was cut"):
        ask_witness(tmp_path, next(read_notes(tmp_path / FILE)), url, key_of(witness))


def test_a_signature_of_another_key_is_not_kept(
    tmp_path: Path, log: Signer, elsewhere: tuple[Elsewhere, str]
) -> None:
    _, url = elsewhere
    chain(tmp_path, log)
    note = next(read_notes(tmp_path / FILE))
    other = NoteKey(NAME, Algorithm.COSIGNATURE, Signer.generate().public)
    with pytest.raises(UserError, match="signs with another key"):
        ask_witness(tmp_path, note, url, other)


def test_a_witness_that_is_away_is_waited_for(tmp_path: Path, log: Signer) -> None:
    chain(tmp_path, log)
    key = NoteKey(NAME, Algorithm.COSIGNATURE, log.public)
    with pytest.raises(TransientError, match="does not answer"):
        ask_witness(tmp_path, next(read_notes(tmp_path / FILE)), "http://127.0.0.1:9", key)
