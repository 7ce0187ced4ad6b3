"""Whatever layout bars are written in, the same bars are read."""

from pathlib import Path

import numpy as np
import pytest

from shared.domain.market.bars import FIELDS, align
from shared.runtime.bar_files.reader import read_files
from tests.unit.bar_files import form_layouts, symbol_layouts, vendor_layouts, written

pytestmark = pytest.mark.slow

MODULES = (form_layouts, symbol_layouts, vendor_layouts)
"""Imported, they have put their layouts into `written.LAYOUTS`."""
LAYOUTS = written.LAYOUTS
BARS = written.walk()
DATA = written.frame(BARS)
EXPECTED = align(BARS)


@pytest.mark.parametrize("name", written.LAYOUTS)
def test_every_layout_gives_the_same_bars(name: str, tmp_path: Path) -> None:
    read = read_files(written.LAYOUTS[name](tmp_path, DATA))
    assert read.panel.symbols == EXPECTED.symbols
    assert np.array_equal(read.panel.sessions, EXPECTED.sessions)
    for field in FIELDS:
        assert np.array_equal(getattr(read.panel, field), getattr(EXPECTED, field)), field
    assert set(read.refused) <= {"malformed"}


def test_all_modules_of_layouts_are_tried() -> None:
    owners = {each.__module__ for each in written.LAYOUTS.values()}
    assert owners == {module.__name__ for module in MODULES}
