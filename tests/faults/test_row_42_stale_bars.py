"""Row 42: no intent for a symbol without yesterday's bar, none at all below the coverage."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from services.signal_engine.handlers import HANDLERS, State
from services.signal_engine.scan import EnabledStrategy
from services.signal_engine.work import SignalEngineWork
from shared.domain.market.adjustment import Basis
from shared.runtime.archive import writer
from shared.runtime.archive.archive import BarArchive
from shared.runtime.clock import ManualClock
from shared.schemas.messages import BarsReady, ScanCompleted, ScanDue
from tests.builders import NOON, scan_ref
from tests.fakes import KeptLog
from tests.turning import Turning
from tests.unit.signal_engine.scan_making import DAYS, Always, walk


@pytest.fixture
def archive(tmp_path: Path) -> BarArchive:
    return writer.create(tmp_path / "archive", walk(), basis=Basis.SPLIT, source="s")


def scanned(
    archive: BarArchive,
    last_completed: dt.date,
    *,
    coverage: str = "1",
    sufficient: bool = True,
    stale: tuple[str, ...] = (),
) -> ScanCompleted:
    strategy = Always("s")
    enabled = [EnabledStrategy(strategy, strategy.Params())]
    work = SignalEngineWork(archive.folder, enabled, ManualClock(NOON), KeptLog())
    turning = Turning(HANDLERS, State(), work)
    scan = scan_ref(last_completed=last_completed)
    turning.hear(ScanDue(scan=scan))
    turning.hear(
        BarsReady(
            scan=scan,
            through=last_completed,
            digest=archive.digest(last_completed),
            symbols=len(archive.symbols),
            coverage=Decimal(coverage),
            sufficient=sufficient,
            stale=stale,
            refused={},
            universe=archive.symbols,
        )
    )
    (found,) = [each for each in turning.act() or [] if isinstance(each, ScanCompleted)]
    return found


def test_a_symbol_without_yesterdays_bar_gives_no_intent(archive: BarArchive) -> None:
    found = scanned(archive, DAYS[-1])
    closes = archive.panel().close[:, -1]
    present = {archive.symbols[row] for row in np.flatnonzero(np.isfinite(closes))}
    assert 0 < len(present) < len(archive.symbols)
    assert {signal.symbol for signal in found.signals} == present


def test_a_symbol_said_to_be_stale_gives_none_either(archive: BarArchive) -> None:
    stale = archive.symbols[:2]
    assert not {signal.symbol for signal in scanned(archive, DAYS[-1], stale=stale).signals} & {
        *stale
    }


def test_below_the_coverage_there_is_no_intent_at_all(archive: BarArchive) -> None:
    found = scanned(archive, DAYS[-1], coverage="0.5", sufficient=False)
    assert (found.signals, found.aborted != "") == ((), True)


def test_bars_of_last_week_give_no_intent_for_today(archive: BarArchive) -> None:
    week_later = DAYS[-1] + dt.timedelta(days=7)
    assert scanned(archive, week_later).signals == ()
