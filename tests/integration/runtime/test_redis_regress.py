"""FAULTS 23 on redis-server itself: a cut append-only file, an older copy, FLUSHALL."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog

from shared.runtime.bus.redis_bus import RedisBus
from shared.runtime.clock import SystemClock
from shared.runtime.observability.health_server import Health
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.provisioning.streams import init_streams
from shared.runtime.runner.contract import Outcome, Service, handler_table, on
from shared.runtime.runner.runner import Runner
from shared.runtime.runner.sealer import Sealer
from shared.runtime.runner.watermark import Watermark
from shared.schemas.envelope import to_fields
from shared.schemas.messages import BarsDue
from shared.schemas.streams import ServiceName, Stream
from tests.builders import envelope
from tests.servers import Server, redis_binary, redis_server
from tests.unit.runtime.service_bench import IDENTITY, Seen, StillLatch, on_bars_due

STEPS = 40
# From a part of the last step to more than all of them.
CUTS = (1, 3, 9, 17, 33, 64, 100, 177, 255, 400, 777, 1_000, 1_500, 2_000, 3_000, 5_000, 8_000)


@dataclass
class Watching:
    """Work that only notes whether the service was halted when it was called."""

    latch: StillLatch
    calls: list[bool] = field(default_factory=list)

    def recover(self, state: Seen) -> None:
        self.calls.append(bool(self.latch.reasons()))

    def act(self, state: Seen) -> Outcome | None:
        self.calls.append(bool(self.latch.reasons()))
        return None

    def wait(self, state: Seen) -> float:
        return 0.0


@pytest.fixture
def server() -> Iterator[Server]:
    with redis_server(redis_binary()) as server:
        yield server


def run(server: Server, folder: Path, steps: int = 0) -> Watching:
    """A service with its volume at `folder`: start, handle so many messages, stop."""
    name = ServiceName.DATA_FETCHER
    with closing(server.connection()) as admin, closing(Watermark(folder / "state")) as mark:
        init_streams(admin, folder / "genesis")
        with closing(RedisBus(server.connection(), name, "one")) as bus:
            latch = StillLatch(bus.kill_view())
            work = Watching(latch)
            runner = Runner(
                Service(
                    name=name,
                    initial=Seen(),
                    handlers=handler_table(on(BarsDue, on_bars_due)),
                    settings=None,
                    work=work,
                ),
                bus=bus,
                latch=latch,
                seal=Sealer(name, IDENTITY, SystemClock()),
                clock=SystemClock(),
                metrics=MetricRegistry(name.value),
                health=Health(SystemClock()),
                log=structlog.get_logger(),
                watermark=mark,
            )
            assert runner.start()
            for _ in range(steps):
                due = envelope(BarsDue(through=dt.date(2024, 1, 4)))
                flat = [text for pair in to_fields(due).items() for text in pair]
                admin.one("XADD", Stream.SCHEDULE.key, "*", *flat)
                runner.turn(100)
            runner.turn(0)
            runner.finish()
    return work


def log_file(server: Server) -> Path:
    return next((server.folder / "appendonlydir").glob("*.incr.aof"))


def test_an_untouched_log_is_no_alarm(server: Server, tmp_path: Path) -> None:
    run(server, tmp_path, STEPS)
    server.kill()
    server.start()
    work = run(server, tmp_path, 3)
    assert not any(work.calls)


@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_log_halts_before_anything_is_done(server: Server, tmp_path: Path, cut: int) -> None:
    """The last entries are the lease given back; a cut inside them loses no step, and is none."""
    run(server, tmp_path, STEPS)
    version = state_version(server)
    server.kill()
    file = log_file(server)
    with file.open("r+b") as log:
        log.truncate(max(0, file.stat().st_size - cut))
    server.start()
    lost = version - state_version(server)
    work = run(server, tmp_path)
    assert all(work.calls) == (lost > 0)
    assert cut < 1_000 or lost > 0


def test_an_older_copy_put_back_halts(server: Server, tmp_path: Path) -> None:
    run(server, tmp_path, STEPS)
    server.kill()
    copy = tmp_path / "copy"
    shutil.copytree(server.folder / "appendonlydir", copy)
    server.start()
    run(server, tmp_path, 1)
    server.kill()
    shutil.rmtree(server.folder / "appendonlydir")
    shutil.copytree(copy, server.folder / "appendonlydir")
    server.start()
    assert all(run(server, tmp_path).calls)


def test_an_emptied_server_halts(server: Server, tmp_path: Path) -> None:
    run(server, tmp_path, STEPS)
    with closing(server.connection()) as admin:
        admin.one("FLUSHALL")
    assert all(run(server, tmp_path).calls)


def state_version(server: Server) -> int:
    with closing(server.connection()) as admin:
        return int(admin.one("HGET", "kobe:state:data-fetcher", "version") or 0)
