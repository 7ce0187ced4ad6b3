import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.signal_engine.handlers import HANDLERS, State
from services.signal_engine.scan import EnabledStrategy, last_signals, tables
from services.signal_engine.work import SignalEngineWork
from shared.domain.errors import TransientError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars
from shared.domain.trading.exits import WatchedPosition
from shared.runtime.archive import writer
from shared.runtime.archive.archive import BarArchive
from shared.runtime.clock import ManualClock
from shared.schemas.messages import BarsReady, ScanCompleted, ScanDue
from shared.schemas.values import Direction, Purpose, ScanRef, Slot
from shared.strategies import registry
from tests.bar_rows import trading_days
from tests.builders import NOON, scan_ref
from tests.fakes import KeptLog
from tests.turning import Turning
from tests.unit.signal_engine.scan_making import DAYS, Always, walk


@pytest.fixture
def archive(tmp_path: Path) -> BarArchive:
    return writer.create(tmp_path / "archive", walk(), basis=Basis.SPLIT, source="s")


def bars_ready(archive: BarArchive, scan: ScanRef, **changes: Any) -> BarsReady:
    values: dict[str, Any] = {
        "scan": scan,
        "through": scan.last_completed,
        "digest": archive.digest(scan.last_completed),
        "symbols": len(archive.symbols),
        "coverage": Decimal("1.0000"),
        "sufficient": True,
        "stale": (),
        "refused": {},
    }
    return BarsReady(**{**values, **changes})


def engine(
    archive: BarArchive, *strategies: Any, positions: tuple[WatchedPosition, ...] = ()
) -> Turning:
    enabled = [EnabledStrategy(strategy, strategy.Params()) for strategy in strategies]
    work = SignalEngineWork(archive.folder, enabled, ManualClock(NOON), KeptLog())
    initial = State(positions={each.symbol: each for each in positions})
    return Turning(HANDLERS, initial, work)


def completed(
    turning: Turning, archive: BarArchive, scan: ScanRef, **changes: Any
) -> ScanCompleted:
    turning.hear(ScanDue(scan=scan))
    turning.hear(bars_ready(archive, scan, **changes))
    (said,) = turning.act_all()
    assert isinstance(said, ScanCompleted)
    return said


def canonical_set() -> tuple[Any, Any]:
    return registry.load("donchian"), registry.load("turtle_soup")


def test_every_live_scan_finds_what_the_backtest_finds_on_the_whole_history(
    archive: BarArchive,
) -> None:
    turning = engine(archive, *canonical_set())
    panel = archive.panel()
    strategies = [EnabledStrategy(strategy, strategy.Params()) for strategy in canonical_set()]
    whole = tables(panel, strategies)
    found = 0
    for column in range(300, len(DAYS)):
        scan = scan_ref(id=f"SCAN_{column}", last_completed=DAYS[column])
        live = completed(turning, archive, scan)
        expected = {
            (
                name,
                panel.symbols[table.row[entry]],
                float(table.reference_price[entry]),
                float(table.stop[entry]),
            )
            for name, table in whole.items()
            for entry in np.flatnonzero(table.column == column)
        }
        assert {
            (each.strategy, each.symbol, float(each.reference_price), float(each.stop))
            for each in live.signals
        } == expected
        found += len(expected)
    assert found > 50


def test_signals_come_by_strategy_then_score_then_symbol(archive: BarArchive) -> None:
    turning = engine(archive, Always("second", score=1.0), Always("first"))
    signals = completed(turning, archive, scan_ref(last_completed=DAYS[-2])).signals
    equal = [each for each in signals if each.strategy == "second"]
    by_price = [each for each in signals if each.strategy == "first"]
    assert list(signals) == equal + by_price
    assert [each.symbol for each in equal] == sorted(each.symbol for each in equal)
    assert [each.score for each in by_price] == sorted(
        (each.score for each in by_price), reverse=True
    )


def test_a_signal_says_all_that_the_gate_and_a_reader_need(archive: BarArchive) -> None:
    signal = completed(
        engine(archive, Always("s")), archive, scan_ref(last_completed=DAYS[-2])
    ).signals[0]
    close = archive.panel().close[archive.symbols.index(signal.symbol), -2]
    assert signal.session == DAYS[-2]
    assert signal.direction is Direction.LONG
    assert signal.reference_price == round(Decimal(repr(float(close))), 2)
    assert signal.stop.as_tuple().exponent == -2
    assert signal.target is None
    assert signal.time_stop_bars == 7
    assert signal.score == Decimal(repr(float(close / 10)))
    assert signal.indicators == {"half": Decimal(repr(float(close / 2)))}


def test_a_symbol_without_the_last_bar_has_no_signal(archive: BarArchive) -> None:
    signals = completed(
        engine(archive, Always("s")), archive, scan_ref(last_completed=DAYS[-1])
    ).signals
    assert {"S03", "S04"}.isdisjoint(each.symbol for each in signals)
    assert len(signals) == 10
    stale = completed(
        engine(archive, Always("s")), archive, scan_ref(last_completed=DAYS[-1]), stale=("S05",)
    ).signals
    assert "S05" not in {each.symbol for each in stale}


def test_when_the_archive_ends_earlier_there_are_no_signals_of_last_week(
    archive: BarArchive,
) -> None:
    scan = scan_ref(last_completed=DAYS[-1] + dt.timedelta(days=1))
    assert completed(engine(archive, Always("s")), archive, scan).signals == ()


def held(**changes: Any) -> WatchedPosition:
    values: dict[str, Any] = {
        "symbol": "S00",
        "strategy": "s",
        "qty": 3,
        "entry_session": DAYS[-3],
        "time_stop_bars": 4,
    }
    return WatchedPosition(**{**values, **changes})


def test_too_little_coverage_aborts_the_entries_and_keeps_the_exits(archive: BarArchive) -> None:
    turning = engine(archive, Always("s", exits=True), positions=(held(),))
    said = completed(
        turning,
        archive,
        scan_ref(last_completed=DAYS[-1]),
        sufficient=False,
        coverage=Decimal("0.5000"),
    )
    assert said.signals == ()
    assert "0.5000" in said.aborted
    assert [each.purpose for each in said.exits] == [Purpose.SIGNAL_EXIT]


def test_a_close_slot_has_time_exits_only(archive: BarArchive) -> None:
    turning = engine(
        archive, Always("s", exits=True), positions=(held(), held(symbol="S01", time_stop_bars=9))
    )
    said = completed(turning, archive, scan_ref(slot=Slot.CLOSE, last_completed=DAYS[-1]))
    assert said.signals == ()
    assert [(each.symbol, each.purpose, each.bars_held) for each in said.exits] == [
        ("S00", Purpose.TIME_EXIT, 4)
    ]


def test_a_retry_slot_finds_the_same_signals_again(archive: BarArchive) -> None:
    turning = engine(archive, *canonical_set())
    scans = [
        scan_ref(id=slot, slot=slot, last_completed=DAYS[-2]) for slot in (Slot.OPEN, Slot.RETRY)
    ]
    first, again = (completed(turning, archive, scan) for scan in scans)
    assert first.signals == again.signals


@pytest.mark.parametrize("broken", [{"fails": "no luck"}, {"score": float("nan")}])
def test_a_strategy_that_fails_takes_the_entries_with_it_and_nothing_else(
    archive: BarArchive, broken: dict[str, Any]
) -> None:
    turning = engine(archive, Always("s", exits=True), Always("bad", **broken), positions=(held(),))
    said = completed(turning, archive, scan_ref(last_completed=DAYS[-1]))
    assert said.signals == ()
    assert "the strategy bad failed" in said.aborted
    assert len(said.exits) == 1
    assert turning.act() is None


def test_no_bars_at_all_is_an_aborted_scan_that_goes_on(archive: BarArchive) -> None:
    said = completed(engine(archive, Always("s")), archive, scan_ref(), digest="", sufficient=False)
    assert (said.exits, said.signals, said.aborted) == ((), (), "there are no bars")


def test_bars_that_were_appended_since_are_seen(archive: BarArchive) -> None:
    turning = engine(archive, Always("s"))
    completed(turning, archive, scan_ref(last_completed=DAYS[-1]))
    later = trading_days(DAYS[-1] + dt.timedelta(days=1), 1)[0]
    last = walk().only(walk().session == walk().session.max())
    fields = (last.open, last.high, last.low, last.close, last.volume)
    grown = writer.append(
        archive.folder,
        Bars(last.symbols, last.row, np.full(last.row.size, np.datetime64(later)), *fields),
    )
    said = completed(turning, grown, scan_ref(id="later", last_completed=later))
    assert said.bars_digest == grown.digest()
    assert len(said.signals) == 10


def test_an_archive_that_cannot_be_read_is_tried_again(archive: BarArchive) -> None:
    turning = engine(archive, Always("s"))
    (archive.folder / "manifest.json").rename(archive.folder / "away")
    scan = scan_ref(last_completed=DAYS[-1])
    turning.hear(ScanDue(scan=scan))
    turning.hear(bars_ready(archive, scan))
    with pytest.raises(TransientError):
        turning.act()
    (archive.folder / "away").rename(archive.folder / "manifest.json")
    assert turning.act() is not None


def test_scores_keep_every_digit_of_their_float(archive: BarArchive) -> None:
    panel = archive.panel()
    enabled = EnabledStrategy(Always("s", score=0.1 + 0.2), {})
    assert last_signals(panel, tables(panel, [enabled]))[0].score == Decimal("0.30000000000000004")


def test_a_symbol_that_cannot_be_traded_is_history_without_signals(tmp_path: Path) -> None:
    bars = walk(symbols=3)
    named = replace(bars, symbols=("^GSPC", "AAPL", "not.one"))
    odd = writer.create(tmp_path / "odd", named, basis=Basis.RAW, source="s")
    scan = scan_ref(last_completed=DAYS[-1])
    found = completed(engine(odd, Always("s")), odd, scan)
    assert [signal.symbol for signal in found.signals] == ["AAPL"]
