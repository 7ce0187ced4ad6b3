import datetime as dt
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from shared.domain.errors import TransientError, UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars
from shared.domain.market.refusals import BarDefect
from shared.runtime.archive import writer
from shared.runtime.archive.archive import BarArchive
from shared.runtime.archive.publication import sole_writer
from tests.bar_rows import bar_rows, only_sessions

MONDAY = dt.date(2024, 1, 22)
BASIS = Basis.SPLIT


def archived(folder: Path, bars: Bars) -> BarArchive:
    return writer.create(folder, bars, basis=BASIS, source="s")


@pytest.fixture
def bars() -> Bars:
    return bar_rows({"IBM": 6, "AAPL": 6}, start=MONDAY)


def test_a_panel_holds_exactly_the_bars_that_were_archived(tmp_path: Path, bars: Bars) -> None:
    archived(tmp_path, bars)
    panel = BarArchive.open(tmp_path).panel()
    assert panel.symbols == ("AAPL", "IBM")
    assert panel.shape == (2, 6)
    ibm = panel.row("IBM")
    assert panel.close[ibm].tolist() == bars.close[:6].tolist()
    assert panel.volume[ibm].tolist() == bars.volume[:6].tolist()


def test_a_panel_is_mapped_and_cannot_be_written(tmp_path: Path, bars: Bars) -> None:
    panel = archived(tmp_path, bars).panel()
    assert isinstance(panel.open, np.memmap)
    assert panel.open.flags["C_CONTIGUOUS"]
    with pytest.raises(ValueError, match="read-only"):
        panel.open[0, 0] = 1.0


def test_a_panel_through_a_session_ends_with_it_even_if_it_was_not_one(
    tmp_path: Path, bars: Bars
) -> None:
    archive = archived(tmp_path, bars)
    assert archive.panel(dt.date(2024, 1, 24)).shape == (2, 3)
    assert archive.panel(dt.date(2024, 1, 27)).shape == (2, 5)
    assert archive.panel(dt.date(2023, 1, 1)).shape == (2, 0)


def test_bars_appended_day_by_day_make_the_archive_and_the_digests_of_all_at_once(
    tmp_path: Path, bars: Bars
) -> None:
    whole = archived(tmp_path / "whole", bars)
    sessions = whole.sessions
    grown = archived(tmp_path / "grown", only_sessions(bars, sessions[0], sessions[1]))
    for session in sessions[2:]:
        grown = writer.append(grown.folder, only_sessions(bars, session, session))
    assert grown.manifest.digests == whole.manifest.digests
    assert grown.sessions == sessions
    assert np.array_equal(grown.panel().close, whole.panel().close)


def test_the_digest_of_a_session_does_not_change_when_later_ones_come(
    tmp_path: Path, bars: Bars
) -> None:
    archive = archived(tmp_path, bars)
    early = archive.digest(dt.date(2024, 1, 24))
    later = writer.append(
        archive.folder, bar_rows({"AAPL": 2, "TSLA": 1}, start=dt.date(2024, 1, 30))
    )
    assert later.digest(dt.date(2024, 1, 24)) == early
    assert later.digest() != archive.digest()
    assert later.symbols == ("AAPL", "IBM", "TSLA")
    assert np.isnan(later.panel().close[2, :6]).all()


def test_a_changed_price_changes_the_digest_from_its_session_on(tmp_path: Path, bars: Bars) -> None:
    archive = archived(tmp_path / "a", bars)
    close = bars.close.copy()
    close[4] += 0.0001
    other = archived(
        tmp_path / "b",
        Bars(
            bars.symbols, bars.row, bars.session, bars.open, bars.high, bars.low, close, bars.volume
        ),
    )
    same = [
        mine == theirs
        for mine, theirs in zip(archive.manifest.digests, other.manifest.digests, strict=True)
    ]
    assert same == [True, True, True, True, False, False]


def test_another_basis_is_another_chain(tmp_path: Path, bars: Bars) -> None:
    assert (
        archived(tmp_path / "a", bars).digest()
        != writer.create(tmp_path / "b", bars, basis=Basis.RAW, source="s").digest()
    )


def test_no_session_has_no_digest(tmp_path: Path, bars: Bars) -> None:
    assert archived(tmp_path, bars).digest(dt.date(2020, 1, 1)) == ""


def test_a_late_bar_of_the_last_session_is_taken_and_a_repeated_one_is_not(
    tmp_path: Path, bars: Bars
) -> None:
    last = archived(tmp_path / "all", bars).sessions[-1]
    without = bars.only(~((bars.session == np.datetime64(last)) & (bars.row == 0)))
    archive = archived(tmp_path / "late", without)
    assert np.isnan(archive.panel().close[1, -1])
    archive = writer.append(archive.folder, bars)
    assert archive.digest() == BarArchive.open(tmp_path / "all").digest()
    assert writer.append(archive.folder, bars).manifest == archive.manifest


def test_impossible_bars_are_refused_one_by_one_counted_and_remembered(
    tmp_path: Path, bars: Bars
) -> None:
    high = bars.high.copy()
    high[2] = float("nan")
    high[8] = bars.low[8] - 1
    broken = Bars(
        bars.symbols, bars.row, bars.session, bars.open, high, bars.low, bars.close, bars.volume
    )
    archive = archived(tmp_path, broken)
    assert archive.refused == {"high_below_low": 1, "not_a_number": 1}
    assert {(refusal.symbol, refusal.reason) for refusal in archive.refusals} == {
        ("IBM", BarDefect.NOT_A_NUMBER),
        ("AAPL", BarDefect.HIGH_BELOW_LOW),
    }
    assert np.isfinite(archive.panel().close).sum() == 10


def test_a_bar_refused_at_an_append_is_counted_once_however_often_it_comes(
    tmp_path: Path, bars: Bars
) -> None:
    archive = archived(tmp_path, bars)
    bad = bar_rows({"AAPL": 1}, start=dt.date(2024, 1, 30), price=-1.0)
    for _ in range(2):
        archive = writer.append(archive.folder, bad)
    assert archive.refused == {"not_positive": 1}
    assert len(archive.sessions) == 6


def test_there_must_be_one_usable_bar(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not one usable bar among the 3"):
        archived(tmp_path, bar_rows({"AAPL": 3}, start=MONDAY, price=-1.0))


def test_no_archive_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no bars in .* yet"):
        BarArchive.open(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format": "x"}', b"\x00" * 20])
def test_a_damaged_manifest_is_said_in_a_sentence(
    tmp_path: Path, bars: Bars, content: bytes
) -> None:
    archived(tmp_path, bars)
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(UserError, match=r"manifest .* is damaged"):
        BarArchive.open(tmp_path)


def test_lost_arrays_are_derived_again_from_the_parquet_parts(tmp_path: Path, bars: Bars) -> None:
    archived(tmp_path, bars)
    archive = writer.append(tmp_path, bar_rows({"AAPL": 1}, start=dt.date(2024, 1, 30)))
    before = archive.panel().close.copy()
    for file in tmp_path.glob("arrays/*/close.npy"):
        file.write_bytes(b"torn")
    assert not archive.intact
    with pytest.raises(UserError, match="missing or damaged"):
        archive.panel()
    archive = writer.rederive(archive.folder)
    assert archive.intact
    assert np.array_equal(archive.panel().close, before, equal_nan=True)


@pytest.mark.parametrize("damage", ["torn", "other"])
def test_parts_that_are_not_what_the_digests_say_are_not_trusted(
    tmp_path: Path, bars: Bars, damage: str
) -> None:
    archive = archived(tmp_path, bars)
    part = next(tmp_path.glob("bars/*.parquet"))
    if damage == "torn":
        part.write_bytes(part.read_bytes()[:100])
    else:
        archived(tmp_path / "other", bar_rows({"AAPL": 6, "IBM": 6}, start=MONDAY, price=7.0))
        part.write_bytes(next((tmp_path / "other").glob("bars/*.parquet")).read_bytes())
    with pytest.raises(UserError, match=r"damaged|not those its digests"):
        writer.rederive(archive.folder)


def test_a_view_opened_before_an_append_goes_on_reading(tmp_path: Path, bars: Bars) -> None:
    view = archived(tmp_path, bars)
    panel = view.panel()
    writer.append(tmp_path, bar_rows({"AAPL": 1}, start=dt.date(2024, 1, 30)))
    assert panel.close[0, 0] == bars.close[6]
    assert view.panel().shape == (2, 6)


def crash_at(call: int, patch: pytest.MonkeyPatch) -> None:
    """The process dies at its so many-th wait for the disk."""
    calls = iter(range(1, 1000))
    whole = os.fsync

    def fsync(descriptor: int) -> None:
        if next(calls) == call:
            raise KeyboardInterrupt
        whole(descriptor)

    patch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("call", range(1, 12))
def test_a_crash_anywhere_in_an_append_leaves_a_view_that_is_whole(
    tmp_path: Path, bars: Bars, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(tmp_path / "a", bars)
    before = archived(tmp_path / "b", bars).digest()
    more = bar_rows({"AAPL": 1, "IBM": 1}, start=dt.date(2024, 1, 30))
    whole = writer.append(tmp_path / "a", more).digest()
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        crash_at(call, patch)
        writer.append(tmp_path / "b", more)
    view = BarArchive.open(tmp_path / "b")
    assert view.intact
    assert view.faults() == []
    assert view.digest() in (before, whole)
    again = writer.append(tmp_path / "b", more)
    assert again.digest() == whole
    assert again.faults() == []
    assert not list(tmp_path.rglob(".*.draft"))


@pytest.mark.parametrize("call", range(1, 16))
def test_a_crash_anywhere_in_a_rewrite_leaves_a_view_that_is_whole(
    tmp_path: Path, bars: Bars, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archived(tmp_path, bars)
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        crash_at(call, patch)
        writer.create(tmp_path, bar_rows({"T": 9}, start=MONDAY), basis=BASIS, source="other")
    view = BarArchive.open(tmp_path)
    assert view.symbols in (archive.symbols, ("T",))
    assert view.faults() == []


def test_a_full_disk_is_an_accident_to_be_tried_again_and_changes_nothing(
    tmp_path: Path, bars: Bars, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archived(tmp_path, bars)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TransientError, match="No space left"):
        writer.append(archive.folder, bar_rows({"AAPL": 1}, start=dt.date(2024, 1, 30)))
    assert BarArchive.open(tmp_path).manifest == archive.manifest


def test_a_second_writer_has_to_wait(tmp_path: Path, bars: Bars) -> None:
    archive = archived(tmp_path, bars)
    with (
        sole_writer(tmp_path),
        pytest.raises(TransientError, match="another process is writing"),
    ):
        writer.append(archive.folder, bars)
