"""The audit chain's record: canonical JSON, linked by hash to the one before. Pure.

A line is `{"payload":…,"prev_hash":…,"this_hash":"…"}`; this_hash is the sha256 of the same without
this_hash.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import msgspec

from shared.schemas.envelope import canonical
from shared.schemas.json_types import JsonMapping, JsonObject

_HEAD = b'{"payload":'
_PREV = b',"prev_hash":'
_THIS = b',"this_hash":"'
_END = b'"}'
_HASH_TEXT = 64
_TAIL = len(_THIS) + _HASH_TEXT + len(_END)


class NotCanonical(ValueError):
    """A line that is not what this system writes, byte for byte."""


class BrokenLink(ValueError):
    """A record that does not follow from the one before it."""


def _link(prev_hash: str | None) -> bytes:
    return _PREV + (b"null" if prev_hash is None else b'"%s"' % prev_hash.encode())


def seal(payload: JsonMapping, prev_hash: str | None) -> tuple[bytes, str]:
    """(the line without its newline, its hash)."""
    body = _HEAD + canonical(payload) + _link(prev_hash)
    this_hash = hashlib.sha256(body + b"}").hexdigest()
    return body + _THIS + this_hash.encode() + _END, this_hash


def open_line(line: bytes, prev_hash: str | None) -> tuple[JsonObject, str]:
    """(payload, this_hash) of a line without its newline.

    Raises BrokenLink if it does not follow `prev_hash`, NotCanonical if it is not our byte form.
    """
    link = _link(prev_hash)
    body, tail = line[:-_TAIL], line[-_TAIL:]
    if not (line.startswith(_HEAD) and tail.startswith(_THIS) and tail.endswith(_END)):
        raise NotCanonical("not a record of this chain")
    if not body.endswith(link):
        raise BrokenLink("prev_hash is not the hash of the record before")
    this_hash = tail[len(_THIS) : -len(_END)].decode("ascii", "replace")
    if hashlib.sha256(body + b"}").hexdigest() != this_hash:
        raise BrokenLink("this_hash is not the hash of the record")
    return _payload(body[len(_HEAD) : -len(link)]), this_hash


def hash_of_line(line: bytes) -> str:
    """What a line gives as its own hash, unchecked."""
    return line[-_HASH_TEXT - len(_END) : -len(_END)].decode("ascii", "replace")


def _payload(text: bytes) -> JsonObject:
    """Decode; encoding again must give the same bytes, so no space, order or second key hides."""
    try:
        payload = msgspec.json.decode(text)
        if isinstance(payload, dict) and canonical(payload) == text:
            return payload
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise NotCanonical(str(error)) from error
    raise NotCanonical("the payload is not canonical JSON")


def chain_id(genesis: JsonMapping) -> str:
    """The chain's name: 16 hex digits of the digest of its genesis payload."""
    return hashlib.sha256(canonical(genesis)).hexdigest()[:16]


def legacy_hash(payload: Any, prev_hash: str | None) -> str:
    """The hash of this system's predecessor: ASCII-escaped JSON with sorted keys."""
    text = json.dumps(
        {"payload": payload, "prev_hash": prev_hash}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()


def first_broken_legacy(lines: Iterable[bytes]) -> int | None:
    """The index of the first record of the predecessor's format that breaks off; None if none."""
    prev_hash: str | None = None
    for index, line in enumerate(lines):
        try:
            record = json.loads(line)
            fits = record["prev_hash"] == prev_hash
            fits = fits and record["this_hash"] == legacy_hash(record["payload"], prev_hash)
        except (ValueError, KeyError, TypeError):
            return index
        if not fits:
            return index
        prev_hash = record["this_hash"]
    return None
