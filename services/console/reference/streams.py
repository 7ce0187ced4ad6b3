"""The streams as an AsyncAPI document, and every message as a JSON Schema.

Made from the structs.
"""

from collections.abc import Iterable

import msgspec

from shared.schemas.json_types import JsonObject
from shared.schemas.streams import MESSAGE_TYPES, READS, STREAM_OF, WRITER, Stream

Document = JsonObject
VERSION = "2"
"""Grows when a message type is replaced by another; new fields and new types leave it."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def message_schemas() -> Document:
    """One JSON Schema with every message and value below `$defs`."""
    _, definitions = msgspec.json.schema_components(
        MESSAGE_TYPES.values(), ref_template="#/$defs/{name}"
    )
    return {"$schema": DIALECT, "title": "Messages of Kobe81", "$defs": definitions}


def asyncapi() -> Document:
    """An AsyncAPI 3.0 document: a channel a stream, an operation for its writer and each reader."""
    _, schemas = msgspec.json.schema_components(
        MESSAGE_TYPES.values(), ref_template="#/components/schemas/{name}"
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Kobe81 streams",
            "version": VERSION,
            "description": "Redis streams; the payload is the field `data`, canonical JSON.",
        },
        "defaultContentType": "application/json",
        "channels": {stream.value: _channel(stream) for stream in Stream},
        "operations": dict(_operations()),
        "components": {
            "messages": {
                name: {"payload": {"$ref": f"#/components/schemas/{name}"}}
                for name in MESSAGE_TYPES
            },
            "schemas": schemas,
        },
    }


def _channel(stream: Stream) -> Document:
    names = [kind.__name__ for kind, where in STREAM_OF.items() if where is stream]
    messages = {name: {"$ref": f"#/components/messages/{name}"} for name in names}
    return {"address": stream.key, "messages": messages}


def _operations() -> Iterable[tuple[str, Document]]:
    for stream in Stream:
        channel = {"$ref": f"#/channels/{stream.value}"}
        writer = WRITER[stream].value
        yield f"{writer} writes {stream.value}", {"action": "send", "channel": channel}
        for reader, streams in READS.items():
            if stream in streams:
                yield (
                    f"{reader.value} reads {stream.value}",
                    {
                        "action": "receive",
                        "channel": channel,
                    },
                )
