"""The reference pages say what the code does: every message, stream, command and setting."""

import json
import tomllib
from pathlib import Path

import jsonschema
import msgspec
import pytest

from services.console.reference.__main__ import main, reference
from services.console.reference.streams import asyncapi, message_schemas
from shared.runtime.config.settings import DEFAULT_FILE
from shared.schemas.streams import MESSAGE_TYPES, READS, WRITER, Stream
from tests.builders import approval


def test_every_stream_has_its_writer_its_readers_and_its_messages() -> None:
    document = asyncapi()
    for stream in Stream:
        assert f"{WRITER[stream].value} writes {stream.value}" in document["operations"]
        assert document["channels"][stream.value]["messages"]
    reads = {name for name in document["operations"] if " reads " in name}
    assert len(reads) == sum(len(streams) for streams in READS.values())
    assert set(document["components"]["messages"]) == set(MESSAGE_TYPES)


def test_a_real_message_fits_its_schema_and_a_broken_one_does_not() -> None:
    schema = {**message_schemas(), "$ref": "#/$defs/OrderApproved"}
    order = json.loads(msgspec.json.encode(approval()))
    jsonschema.validate(order, schema)
    broken = {**order, "qty": 0}
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(broken))


def test_every_key_of_the_configuration_stands_on_its_page() -> None:
    page = reference()["configuration.md"]
    document = tomllib.loads(DEFAULT_FILE.read_text())
    for table, keys in document.items():
        for key, value in keys.items():
            assert isinstance(value, dict) or f"`{key}`" in page, f"{table}.{key}"


def test_a_page_that_is_out_of_date_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
    (tmp_path / "commands.md").write_text("old")
    assert main([str(tmp_path), "--check"]) == 1
    assert "commands.md" in capsys.readouterr().out
