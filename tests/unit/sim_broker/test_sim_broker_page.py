"""docs/sim-broker.md names every kind of fault and event with all of its fields."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from services.sim_broker.exchange.world_events import WorldEvent
from services.sim_broker.fault_injection.kinds import FaultKind

PAGE = Path(__file__).parents[3] / "docs/sim-broker.md"
COMMON = {"times", "skip", "session", "stage"}


def rows() -> dict[str, str]:
    """The fields' cell of each kind's row."""
    found = re.findall(r"^\| `(\w+)` \| (.*?) ?\| ", PAGE.read_text(), flags=re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize(
    "kind", get_args(FaultKind | WorldEvent), ids=lambda kind: str(kind.__struct_config__.tag)
)
def test_each_kind_is_described_with_its_fields(kind: type[msgspec.Struct]) -> None:
    config = kind.__struct_config__
    cell = rows()[str(config.tag)]
    fields = set(kind.__struct_fields__) - COMMON
    if cell == "the same" or config.tag == "empty_positions":
        return
    assert fields == {word for word in re.findall(r"[a-z_]+", cell) if word in fields}


def test_no_kind_is_described_that_does_not_exist() -> None:
    known = {str(each.__struct_config__.tag) for each in get_args(FaultKind | WorldEvent)}
    assert set(rows()) == known
