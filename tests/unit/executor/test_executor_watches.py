"""What is looked at again and again: the broker's clock, and the configuration on disk."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from services.executor.brokers.protocol import BrokerClock
from services.executor.startup.audit_watch import LIMITS, AuditWatch
from services.executor.startup.pin_watch import PinWatch
from shared.runtime.bus.memory_bus import MemoryBus
from shared.runtime.config.settings import DEFAULT_FILE, load_settings
from shared.schemas.streams import ServiceName, Stream
from shared.schemas.values import Mode
from tests.unit.executor.floor import Floor


@pytest.mark.parametrize(("skew", "halts"), [(0.9, 0), (-1.5, 0), (2.5, 1), (-300.0, 1)])
def test_a_clock_that_goes_wrong_halts_within_fifteen_seconds_and_once(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, skew: float, halts: int
) -> None:
    def skewed() -> BrokerClock:
        at = floor.clock.now() + dt.timedelta(seconds=skew)
        return BrokerClock(at=at, is_open=True)

    monkeypatch.setattr(floor.broker, "clock", skewed)
    floor.run(seconds=15)
    assert len(floor.halts) == halts
    floor.run(seconds=60)
    assert len(floor.halts) == halts


def test_a_broker_whose_clock_is_away_is_compared_with_later(floor: Floor) -> None:
    floor.broker.away = True
    floor.run(seconds=30)
    assert floor.halts == []
    assert "clock_not_compared" in floor.log.events


def test_a_configuration_that_changes_on_disk_is_noticed_and_one_that_only_moves_is_not(
    tmp_path: Path,
) -> None:
    file = tmp_path / "kobe.toml"
    text = DEFAULT_FILE.read_text()
    file.write_text(text)
    watch = PinWatch(load_settings({"KOBE_CONFIG": str(file)}))
    assert watch() == ""
    file.write_text("# a comment changes no number\n" + text)
    assert watch() == ""
    file.write_text(text.replace("entry_ttl_seconds = 15", "entry_ttl_seconds = 30"))
    assert "changed under the running stack" in watch()
    file.write_text("not toml [")
    assert "not valid" in watch()
    file.unlink()
    assert "cannot be read" in watch()
    file.write_text(text)
    assert watch() == ""


@pytest.mark.parametrize(("mode", "limit"), [(Mode.LIVE, 30), (Mode.PAPER, 300)])
def test_an_auditor_that_records_nothing_halts_within_the_limit_of_the_mode(
    floor: Floor, mode: Mode, limit: int
) -> None:
    auditor = floor.server.hash("kobe:state:auditor")
    floor.work.audit_watch = AuditWatch(
        lambda: floor.bus.audit_progress(Stream.EXECUTIONS),
        floor.clock,
        floor.latch,
        LIMITS[mode],
    )
    gate = MemoryBus(floor.server, ServiceName.RISK_GATE, "one")
    assert gate.acquire()
    floor.reconcile()
    gate.read(count=100, block_ms=0)
    floor.run(seconds=limit - 5)
    assert floor.halts == []
    floor.run(seconds=20)
    assert len(floor.halts) == 1
    assert "auditor" in floor.halts[0]
    auditor["position:executions"] = '"9999999999999-0"'
    floor.run(seconds=limit + 20)
    assert len(floor.halts) == 1


def test_in_sim_no_auditor_is_awaited() -> None:
    assert Mode.SIM not in LIMITS
