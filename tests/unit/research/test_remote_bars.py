"""Bars behind a URL: used where they lie on this machine, copied once from elsewhere."""

from __future__ import annotations

from pathlib import Path

import fsspec
import numpy as np
import pytest

from services.research.data.dataset import Dataset, open_dataset
from services.research.data.inputs import Inputs
from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import bars_of
from shared.runtime.archive import remote, writer
from shared.runtime.archive.archive import BarArchive
from shared.runtime.bar_files.reader import read_files
from tests.oracles.made_bars import cent_walks
from tests.unit.research.walks import csv_bars


@pytest.fixture
def archive(tmp_path: Path) -> BarArchive:
    bars = bars_of(
        read_files(csv_bars(tmp_path / "bars.csv", cent_walks(5, symbols=3, bars=30))).panel
    )
    return writer.create(tmp_path / "archive", bars, basis=Basis.SPLIT, source="made")


def opened(url: str, tmp_path: Path) -> Dataset:
    return open_dataset(
        Inputs(strategies=(), bars=url), {"KOBE_STATE_DIR": str(tmp_path / "state")}
    )


def test_an_archive_elsewhere_is_the_archive_here(archive: BarArchive, tmp_path: Path) -> None:
    remote.push(archive.folder, "memory://one")
    market = opened("memory://one", tmp_path)
    assert market.digest == archive.digest()
    assert np.array_equal(market.panel.close, archive.panel().close)
    assert market.panel.symbols == archive.symbols


def test_it_is_copied_once_per_state(archive: BarArchive, tmp_path: Path) -> None:
    remote.push(archive.folder, "memory://two")
    opened("memory://two", tmp_path)
    first = sorted((tmp_path / "state" / "bars").iterdir())
    fsspec.filesystem("memory").rm("/two/bars", recursive=True)
    assert opened("memory://two", tmp_path).digest == archive.digest()
    assert sorted((tmp_path / "state" / "bars").iterdir()) == first


def test_what_is_on_this_machine_is_not_copied(archive: BarArchive, tmp_path: Path) -> None:
    market = opened(f"file://{archive.folder}", tmp_path)
    assert market.digest == archive.digest()
    assert not (tmp_path / "state").exists()


def test_a_file_of_bars_may_lie_elsewhere_too(tmp_path: Path) -> None:
    file = csv_bars(tmp_path / "bars.csv", cent_walks(6, symbols=2, bars=30))
    fsspec.filesystem("memory").pipe_file("/three/bars.csv", file.read_bytes())
    there, here = opened("memory://three/bars.csv", tmp_path), opened(str(file), tmp_path)
    assert there.digest == here.digest
    assert np.array_equal(there.panel.close, here.panel.close)


@pytest.mark.parametrize(
    "url", ["memory://nothing/here", "nosuchkind://bars", "file:///no/such/bars.parquet"]
)
def test_a_url_that_leads_nowhere_is_one_sentence(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        opened(url, tmp_path)
    assert not list((tmp_path / "state").glob("bars/*"))
