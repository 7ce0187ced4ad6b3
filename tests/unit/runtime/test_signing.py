"""Signatures: only the writer's own key makes its words valid."""

from __future__ import annotations

import base64
import datetime as dt
from pathlib import Path

import msgspec
import pytest

from shared.domain.errors import InvalidMessage, UserError
from shared.runtime.signing import Keyring, Signer, key_id_of
from shared.schemas.envelope import Envelope, from_fields, to_fields
from shared.schemas.streams import ServiceName
from shared.schemas.values import Mode

AT = dt.datetime(2024, 1, 5, 14, 35, tzinfo=dt.UTC)
GATE, CONSOLE = Signer.generate(), Signer.generate()
RING = Keyring.of([GATE.public_key("risk-gate"), CONSOLE.public_key("console")])


def envelope(writer: ServiceName = ServiceName.RISK_GATE) -> Envelope:
    return Envelope(
        type="ScanDecided",
        id="1",
        writer=writer,
        seq=1,
        at=AT,
        session=AT.date(),
        mode=Mode.PAPER,
        account="PA1",
        config_pin="p",
        code_digest="c",
        fence=1,
        data='{"approved":1,"denied":0,"final":true,"phase":"entries","scan_id":"s","slot":"open"}',
    )


def test_what_the_writer_signed_is_accepted_also_after_its_journey() -> None:
    heard, _ = from_fields(to_fields(GATE.sign(envelope())))
    RING.verify(heard)
    assert heard.key_id == key_id_of(GATE.public)


CHANGES = {
    "data": '{"approved":2}',
    "type": "OrderApproved",
    "id": "2",
    "seq": 2,
    "at": AT + dt.timedelta(seconds=1),
    "session": dt.date(2024, 1, 8),
    "correlation_id": "x",
    "causation_id": "x",
    "mode": Mode.LIVE,
    "account": "PA2",
    "config_pin": "q",
    "code_digest": "d",
    "fence": 2,
}


@pytest.mark.parametrize("field", CHANGES)
def test_no_field_can_be_changed_after_signing(field: str) -> None:
    forged = msgspec.structs.replace(GATE.sign(envelope()), **{field: CHANGES[field]})
    with pytest.raises(InvalidMessage, match="does not fit"):
        RING.verify(forged)


def test_every_field_of_the_envelope_is_covered() -> None:
    assert set(Envelope.__struct_fields__) == {*CHANGES, "writer", "key_id", "signature"}


def test_an_unsigned_message_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="missing"):
        RING.verify(envelope())


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="unknown"):
        RING.verify(Signer.generate().sign(envelope()))


def test_a_key_speaks_for_its_owner_alone() -> None:
    with pytest.raises(InvalidMessage, match="console does not speak for risk-gate"):
        RING.verify(CONSOLE.sign(envelope()))


def test_the_console_cannot_pass_its_signature_off_as_the_gates() -> None:
    forged = msgspec.structs.replace(CONSOLE.sign(envelope()), key_id=GATE.key_id)
    with pytest.raises(InvalidMessage, match="does not fit"):
        RING.verify(forged)


@pytest.mark.parametrize("signature", ["x", "=", "ä", base64.b64encode(b"short").decode()])
def test_a_signature_that_is_none_is_refused(signature: str) -> None:
    with pytest.raises(InvalidMessage, match="does not fit"):
        RING.verify(msgspec.structs.replace(GATE.sign(envelope()), signature=signature))


def test_a_key_comes_back_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "signing.key").write_text(GATE.private_text() + "\n")
    RING.verify(Signer.load(tmp_path / "signing.key").sign(envelope()))


@pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(b"short").decode()])
def test_a_file_without_a_key_is_told_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "signing.key").write_text(text)
    with pytest.raises(UserError, match="not an Ed25519 key"):
        Signer.load(tmp_path / "signing.key")


def test_an_absent_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        Signer.load(tmp_path / "signing.key")
    with pytest.raises(UserError, match="cannot be read"):
        Keyring.load(tmp_path / "public_keys.json")


def test_a_public_key_under_a_foreign_id_is_refused(tmp_path: Path) -> None:
    wrong = msgspec.structs.replace(GATE.public_key("risk-gate"), key_id=CONSOLE.key_id)
    (tmp_path / "public_keys.json").write_bytes(msgspec.json.encode([wrong]))
    with pytest.raises(UserError, match="does not have that id"):
        Keyring.load(tmp_path / "public_keys.json")
