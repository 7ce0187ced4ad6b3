"""The envelope around every message: flat stream fields, canonical JSON in `data`, read strictly.

Canonical JSON is RFC 8785 without floats: sorted keys, no spaces, UTF-8; so equal messages have
equal bytes.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from shared.schemas import fields as f
from shared.schemas.messages import Message
from shared.schemas.streams import MESSAGE_TYPES, STREAM_OF, ServiceName, Stream
from shared.schemas.values import Mode, Value

MAX_BYTES = 256 * 1024

_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODERS = {
    name: msgspec.json.Decoder(type_, strict=True) for name, type_ in MESSAGE_TYPES.items()
}


class Malformed(ValueError):
    """Bytes that are not a message of ours; the sentence says why."""


class Envelope(Value, frozen=True, kw_only=True):
    """Who wrote what, when, because of what, under which configuration. `at` is aware, UTC."""

    type: f.Word
    id: f.Id
    writer: ServiceName
    seq: f.Sequence
    at: dt.datetime
    session: dt.date
    correlation_id: f.OptionalId = ""
    causation_id: f.OptionalId = ""
    mode: Mode
    account: f.OptionalId
    config_pin: f.Digest
    code_digest: f.Digest
    fence: f.Sequence
    data: str
    key_id: f.Digest = ""
    signature: f.Digest = ""

    @property
    def stream(self) -> Stream:
        return STREAM_OF[MESSAGE_TYPES[self.type]]


def canonical(value: Any) -> bytes:
    """The one byte form of a value of structs, dicts, lists, strings, ints, Decimals and dates."""
    return _ENCODER.encode(value)


def envelope_id(writer: ServiceName, stream: Stream, seq: int) -> str:
    return hashlib.sha256(f"{writer}|{stream}|{seq}".encode()).hexdigest()[:32]


def bytes_to_sign(envelope: Envelope) -> bytes:
    """The bytes a signature covers: every field but the signature itself."""
    return canonical(msgspec.structs.replace(envelope, signature=""))


def to_fields(envelope: Envelope) -> dict[str, str]:
    """The flat fields of a stream entry; empty ones are left out."""
    flat = msgspec.to_builtins(envelope)
    return {name: str(value) for name, value in flat.items() if value != ""}


def from_fields(fields: Mapping[str, str]) -> tuple[Envelope, Message]:
    """Read one stream entry strictly. Raises Malformed if anything in it is not as it must be."""
    try:
        size = sum(len(name.encode()) + len(value.encode()) for name, value in fields.items())
    except UnicodeEncodeError as error:
        raise Malformed("bytes that are not UTF-8") from error
    if size > MAX_BYTES:
        raise Malformed(f"{size} bytes are more than the {MAX_BYTES} allowed")
    try:
        envelope = msgspec.convert(dict(fields), Envelope, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        raise Malformed(f"envelope: {error}") from error
    if envelope.at.tzinfo is None:
        raise Malformed("envelope: `at` has no time zone")
    return envelope, decode(envelope.type, envelope.data.encode())


def decode(type_name: str, data: bytes) -> Message:
    """Canonical bytes to a message. Raises Malformed if they are not its exact canonical form."""
    decoder = _DECODERS.get(type_name)
    if decoder is None:
        raise Malformed(f"unknown message type {type_name!r}")
    try:
        plain = _GENERIC.decode(data)
        if canonical(plain) != data:
            raise ValueError("not canonical JSON (duplicate or unsorted keys, spaces, escapes)")
        message = decoder.decode(data)
        _require_same(plain, msgspec.to_builtins(message), "$")
        return message
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(f"{type_name}: {error}") from error


def _no_floats(text: str) -> Any:
    raise ValueError(f"{text} is a float; numbers travel as strings")


_GENERIC = msgspec.json.Decoder(float_hook=_no_floats)


def _require_same(plain: Any, understood: Any, path: str) -> None:
    """Require that what was decoded equals what was written; unknown fields may be present."""
    if isinstance(plain, dict) and isinstance(understood, dict):
        for key, value in plain.items():
            if key in understood:
                _require_same(value, understood[key], f"{path}.{key}")
    elif isinstance(plain, list) and isinstance(understood, list | tuple):
        for index, value in enumerate(plain):
            _require_same(value, understood[index], f"{path}[{index}]")
    elif type(plain) is not type(understood) or plain != understood:
        raise ValueError(f"{path} is {plain!r} where {understood!r} was meant")
