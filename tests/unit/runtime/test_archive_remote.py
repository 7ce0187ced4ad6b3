"""The archive behind a URL: what is pushed is what is pulled, and damage on the way is found."""

import datetime as dt
from pathlib import Path

import fsspec
import numpy as np
import pytest

from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.runtime.archive import remote, writer
from shared.runtime.archive.archive import BarArchive
from tests.bar_rows import bar_rows, trading_days

START = dt.date(2024, 1, 22)
FILES = fsspec.filesystem("memory")


@pytest.fixture
def archive(tmp_path: Path) -> BarArchive:
    given = bar_rows({"AAPL": 20, "IBM": 20}, start=START)
    return writer.create(tmp_path / "here", given, basis=Basis.RAW, source="s")


def grow(archive: BarArchive) -> BarArchive:
    day = trading_days(archive.sessions[-1] + dt.timedelta(days=1), 1)[0]
    return writer.append(archive.folder, bar_rows({"AAPL": 1, "IBM": 1}, start=day))


def test_what_is_pushed_is_what_is_pulled(archive: BarArchive, tmp_path: Path) -> None:
    remote.push(archive.folder, "memory://kobe/one")
    pulled = remote.pull("memory://kobe/one", tmp_path / "there")
    assert pulled.manifest.digests == archive.manifest.digests
    assert np.array_equal(pulled.panel().close, archive.panel().close)
    assert pulled.faults() == []


def test_only_what_is_new_is_sent_and_what_is_old_is_removed(
    archive: BarArchive, tmp_path: Path
) -> None:
    url = "memory://kobe/two"
    remote.push(archive.folder, url)
    assert remote.push(archive.folder, url) == 1  # the manifest alone
    for _ in range(9):
        archive = grow(archive)
        assert remote.push(archive.folder, url) <= 3
    assert remote.pull(url, tmp_path / "there").digest() == archive.digest()
    assert len(FILES.glob("/kobe/two/bars/*")) == len(archive.manifest.parts)


def test_a_changed_part_is_found_when_pulled(archive: BarArchive, tmp_path: Path) -> None:
    remote.push(archive.folder, "memory://kobe/three")
    other = bar_rows({"AAPL": 20, "IBM": 20}, start=START, price=7.0)
    elsewhere = writer.create(tmp_path / "x", other, basis=Basis.RAW, source="s")
    content = (elsewhere.folder / "bars" / elsewhere.manifest.parts[0].name).read_bytes()
    FILES.pipe_file(f"/kobe/three/bars/{archive.manifest.parts[0].name}", content)
    with pytest.raises(UserError, match="not those its digests speak of"):
        remote.pull("memory://kobe/three", tmp_path / "there")
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("url", ["memory://kobe/nowhere", "nosuchkind://bucket/bars"])
def test_a_place_without_an_archive_is_one_sentence(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match=r"no bar archive|no place"):
        remote.pull(url, tmp_path / "there")
