"""What is looked at again and again: the broker's clock, and the configuration on disk."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from services.executor.brokers.protocol import BrokerClock
from services.executor.startup.pin_watch import PinWatch
from shared.runtime.config.settings import DEFAULT_FILE, load_settings
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
