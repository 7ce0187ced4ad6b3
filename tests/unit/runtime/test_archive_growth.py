"""The archive over months.

Appends, splits, late bars, renewals, and what is found when it is damaged.
"""

import datetime as dt
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import PRICES, Bars
from shared.domain.market.refusals import BarDefect
from shared.runtime.archive import writer
from shared.runtime.archive.archive import BarArchive
from shared.runtime.archive.writer import NO_ACTIONS
from shared.schemas.corporate_actions import CashDividend, CorporateActions, Split
from tests.bar_rows import bar_rows, only_sessions, trading_days

START = dt.date(2023, 1, 3)
COUNT = 80
DAYS = trading_days(START, COUNT)
SYMBOLS = {"AAPL": COUNT, "IBM": COUNT, "MSFT": COUNT}


def bars() -> Bars:
    return bar_rows(SYMBOLS, start=START)


def through(number: int) -> Bars:
    return only_sessions(bars(), DAYS[0], DAYS[number])


def session(number: int) -> Bars:
    return only_sessions(bars(), DAYS[number], DAYS[number])


def create(
    folder: Path, given: Bars, basis: Basis = Basis.RAW, actions: CorporateActions = NO_ACTIONS
) -> BarArchive:
    return writer.create(folder, given, basis=basis, source="s", actions=actions)


def split(number: int, new: int = 2, symbol: str = "AAPL") -> CorporateActions:
    day = Split(symbol=symbol, ex_date=DAYS[number], new=Decimal(new), old=Decimal(1))
    return CorporateActions(splits=(day,))


def raw_split(number: int, new: int = 2) -> Bars:
    """Bars of which AAPL costs a `new`-th from a session on."""
    given = bars()
    after = (given.row == 0) & (given.session >= np.datetime64(DAYS[number]))
    prices = {
        name: np.where(after, (getattr(given, name) / new).round(4), getattr(given, name))
        for name in PRICES
    }
    return replace(given, volume=np.where(after, given.volume * new, given.volume), **prices)


def same_view(one: BarArchive, other: BarArchive) -> bool:
    mine, theirs = one.panel(), other.panel()
    return (
        one.manifest.digests == other.manifest.digests
        and np.array_equal(mine.close, theirs.close, equal_nan=True)
        and np.array_equal(mine.volume, theirs.volume, equal_nan=True)
    )


def test_eighty_sessions_one_by_one_are_the_archive_of_all_at_once(tmp_path: Path) -> None:
    whole = create(tmp_path / "whole", bars())
    grown = create(tmp_path / "grown", through(9))
    for number in range(10, COUNT):
        grown = writer.append(grown.folder, session(number))
    assert same_view(grown, whole)
    assert grown.faults() == []
    assert len(grown.manifest.parts) < 20
    settled = writer.settle(grown.folder)
    assert isinstance(settled.panel().close, np.memmap)
    assert same_view(settled, whole)
    assert settled.faults() == []


def test_an_appended_panel_can_neither_be_written(tmp_path: Path) -> None:
    create(tmp_path, through(9))
    panel = writer.append(tmp_path, session(10)).panel()
    with pytest.raises(ValueError, match="read-only"):
        panel.close[0, 0] = 1.0


def test_sessions_that_are_skipped_are_there_without_bars(tmp_path: Path) -> None:
    create(tmp_path, through(9))
    archive = writer.append(tmp_path, session(12))
    assert list(archive.sessions) == DAYS[:13]
    assert np.isnan(archive.panel().close[:, 10:12]).all()
    assert archive.faults() == []


@pytest.mark.parametrize("settled", [True, False])
def test_late_bars_of_the_last_session_come_in_whenever_it_was_appended(
    tmp_path: Path, settled: bool
) -> None:
    early, late = session(30), session(30)
    one, rest = early.only(early.row == 1), late.only(late.row != 1)
    create(tmp_path, through(29))
    archive = writer.append(tmp_path, one)
    if settled:
        writer.settle(tmp_path)
    archive = writer.append(tmp_path, rest)
    assert same_view(archive, create(tmp_path / "whole", through(30)))
    assert archive.faults() == []


def test_what_an_append_costs_does_not_grow_with_the_history(tmp_path: Path) -> None:
    """Counted in bytes written, for time is noisy here."""
    written = []
    for number, count in enumerate((200, 2000)):
        given = bar_rows(
            dict.fromkeys((f"S{at}" for at in range(50)), count), start=dt.date(2010, 1, 4)
        )
        folder = tmp_path / str(number)
        archive = create(folder, given)
        more = bar_rows(
            dict.fromkeys((f"S{at}" for at in range(50)), 1),
            start=archive.sessions[-1] + dt.timedelta(days=1),
        )
        before = time.time()  # noqa: TID251
        writer.append(folder, more)
        fresh = [
            file for file in folder.rglob("*") if file.is_file() and file.stat().st_mtime >= before
        ]
        written.append(sum(file.stat().st_size for file in fresh if file.name != "manifest.json"))
    assert written[1] < written[0] * 1.2


# --- splits ---------------------------------------------------------------------------------------


def test_raw_bars_and_a_split_give_the_adjusted_panel(tmp_path: Path) -> None:
    archive = create(tmp_path / "raw", raw_split(40), actions=split(40))
    adjusted = create(tmp_path / "adjusted", bars(), basis=Basis.SPLIT)
    expected = bars().close[:COUNT] / 2
    assert np.allclose(archive.panel().close[0], expected, atol=1e-4)
    assert np.array_equal(archive.panel().close[1:], adjusted.panel().close[1:])
    assert archive.digest() != adjusted.digest()


def test_a_split_known_before_its_session_is_applied_when_it_is_due(tmp_path: Path) -> None:
    given = raw_split(40)
    archive = create(tmp_path, only_sessions(given, DAYS[0], DAYS[38]), actions=split(40))
    assert archive.panel().close[0, 0] == given.close[0]  # announced, not yet true
    archive = writer.append(tmp_path, only_sessions(given, DAYS[39], DAYS[39]))
    assert archive.panel().close[0, 0] == round(given.close[0] / 2, 4)  # tomorrow opens with it
    archive = writer.append(tmp_path, only_sessions(given, DAYS[40], DAYS[40]))
    whole = create(tmp_path / "w", only_sessions(given, DAYS[0], DAYS[40]), actions=split(40))
    assert same_view(archive, whole)
    assert archive.faults() == []


def test_a_new_split_renews_the_arrays_by_itself(tmp_path: Path) -> None:
    given = raw_split(40)
    create(tmp_path, only_sessions(given, DAYS[0], DAYS[39]))
    archive = writer.append(tmp_path, only_sessions(given, DAYS[40], DAYS[40]), actions=split(40))
    assert archive.refused == {}
    whole = create(tmp_path / "w", only_sessions(given, DAYS[0], DAYS[40]), actions=split(40))
    assert same_view(archive, whole)


def test_a_split_heard_of_late_gives_the_same_archive(tmp_path: Path) -> None:
    create(tmp_path, raw_split(40))
    archive = writer.append(tmp_path, bars().only(np.zeros(0, np.intp)), actions=split(40))
    assert same_view(archive, create(tmp_path / "w", raw_split(40), actions=split(40)))


def test_a_jump_like_a_split_that_nobody_announced_is_refused_until_it_is(tmp_path: Path) -> None:
    given = raw_split(40, 7)
    create(tmp_path, only_sessions(given, DAYS[0], DAYS[39]))
    archive = writer.append(tmp_path, only_sessions(given, DAYS[40], DAYS[40]))
    assert archive.refused == {"unexplained_jump": 1}
    (refused,) = archive.refusals
    assert (refused.symbol, refused.reason) == ("AAPL", BarDefect.UNEXPLAINED_JUMP)
    assert "like a 7:1 split" in refused.detail
    assert np.isnan(archive.panel().close[0, 40])
    assert np.isfinite(archive.panel().close[1:, 40]).all()
    archive = writer.append(
        tmp_path, only_sessions(given, DAYS[40], DAYS[41]), actions=split(40, 7)
    )
    assert np.isfinite(archive.panel().close[:, 41]).all()
    assert np.isfinite(archive.panel().close[0, 40])


def test_jumps_of_the_history_are_remembered(tmp_path: Path) -> None:
    archive = create(tmp_path, raw_split(40, 7))
    assert [(each.symbol, each.session, each.ratio) for each in archive.jumps] == [
        ("AAPL", DAYS[40], "7:1")
    ]
    assert create(tmp_path / "x", raw_split(40, 7), actions=split(40, 7)).jumps == ()


def test_splits_do_not_touch_bars_that_are_adjusted_already(tmp_path: Path) -> None:
    archive = create(tmp_path, bars(), basis=Basis.SPLIT, actions=split(40))
    assert archive.effective_splits == ()
    assert archive.panel().close[0].tolist() == bars().close[:COUNT].tolist()


def test_actions_are_kept_exactly_and_each_once(tmp_path: Path) -> None:
    paid = CashDividend(symbol="IBM", ex_date=DAYS[5], amount=Decimal("1.6700001"))
    create(tmp_path, through(9), actions=CorporateActions(dividends=(paid,)))
    more = CorporateActions(dividends=(paid,), splits=split(70, 3).splits)
    archive = writer.append(tmp_path, session(10), actions=more)
    assert archive.actions == more


# --- new symbols, gaps ----------------------------------------------------------------------------


def test_history_of_a_new_symbol_and_gaps_are_filled_in(tmp_path: Path) -> None:
    given = bars()
    missing = (given.row == 2) | ((given.row == 0) & (given.session == np.datetime64(DAYS[7])))
    create(tmp_path, given.only(~missing))
    archive = writer.backfill(tmp_path, given, source="more")
    assert same_view(archive, create(tmp_path / "w", given))
    assert archive.manifest.source == "more"
    assert archive.faults() == []


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern", ["bars/*.parquet", "refusals-*", "factors-*", "arrays/*/low.npy"]
)
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_every_damaged_file_is_found(tmp_path: Path, pattern: str, damage: str) -> None:
    archive = create(tmp_path, bars(), actions=split(40))
    file = next(tmp_path.glob(pattern))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content if damage == "flipped" else content[: len(content) // 2])
    assert len(BarArchive.open(tmp_path).faults()) >= 1
    if pattern.startswith("arrays"):
        assert writer.rederive(tmp_path).faults() == []
    assert archive.manifest == BarArchive.open(tmp_path).manifest or pattern.startswith("arrays")


def test_an_archive_of_another_format_is_not_read(tmp_path: Path) -> None:
    create(tmp_path, bars())
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format":3', '"format":2'))
    with pytest.raises(UserError, match="has format 2, not 3"):
        BarArchive.open(tmp_path)


def test_an_archive_takes_at_most_sixty_bytes_a_bar(tmp_path: Path) -> None:
    given = bar_rows(dict.fromkeys((f"S{at}" for at in range(40)), 1200), start=dt.date(2010, 1, 4))
    create(tmp_path, given)
    size = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert (
        size / given.row.size <= 60 + 130 * 1200 / given.row.size
    )  # the chain's own bytes a session
