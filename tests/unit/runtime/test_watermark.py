import datetime as dt
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from shared.runtime.runner.contract import Context, Decision, Outcome, handler_table, on
from shared.runtime.runner.watermark import UNREADABLE, Watermark
from shared.schemas.messages import BarsDue
from tests.unit.runtime.service_bench import Bench, Fetched, Seen, on_bars_due

DUE = BarsDue(through=dt.date(2024, 1, 4))


@contextmanager
def mark(folder: Path) -> Iterator[Watermark]:
    with closing(Watermark(folder)) as watermark:
        yield watermark


def test_a_mark_outlives_the_process(tmp_path: Path) -> None:
    with mark(tmp_path) as watermark:
        assert watermark.version == 0
        for version in (9, 10, 7):
            watermark.keep(version)
    with mark(tmp_path) as again:
        assert again.version == 7


@pytest.mark.parametrize("content", [b"", b"\0" * 21, b"seven"])
def test_a_mark_that_cannot_be_read_is_above_everything(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "watermark").write_bytes(content)
    with mark(tmp_path) as watermark:
        assert watermark.version == UNREADABLE


def test_an_older_redis_halts_before_anything_is_done_and_then_is_gone_on_from(
    tmp_path: Path,
) -> None:
    acted: list[tuple[str, ...]] = []

    class Work:
        def recover(self, state: Seen) -> None:
            acted.append(bench.latch.reasons())

        def act(self, state: Seen) -> Outcome | None:
            acted.append(bench.latch.reasons())
            return None

        def wait(self, state: Seen) -> float:
            return 0.0

    bench = Bench(handler_table(on(BarsDue, on_bars_due)), work=Work())
    with mark(tmp_path) as watermark:
        runner = bench.runner(watermark=watermark)
        runner.start()
        older = dict(bench.server.hash("kobe:state:data-fetcher"))
        for _ in range(3):
            bench.schedule(DUE)
            runner.turn(0)
    assert bench.latch.halts == []
    bench.server.hash("kobe:state:data-fetcher").clear()
    bench.server.hash("kobe:state:data-fetcher").update(older)
    acted.clear()
    with mark(tmp_path) as watermark:
        again = bench.runner(watermark=watermark)
        again.start()
        again.turn(0)
        assert "redis_regressed" in bench.latch.halts[0]
        assert acted == [("killed",), ("killed",)]
    with mark(tmp_path) as watermark:
        bench.latch.halts.clear()
        bench.runner(watermark=watermark).start()
    assert bench.latch.halts == []


def test_a_redis_that_turns_older_under_a_running_service_is_noticed_at_the_next_step(
    tmp_path: Path,
) -> None:
    def fetch(state: Seen, outcome: Fetched, context: Context[None]) -> Decision[Seen]:
        return state, ()

    bench = Bench(handler_table(on(BarsDue, on_bars_due), on(Fetched, fetch)))
    with mark(tmp_path) as watermark:
        runner = bench.runner(watermark=watermark)
        runner.start()
        for _ in range(3):
            bench.schedule(DUE)
            runner.turn(0)
        bench.server.hash("kobe:state:data-fetcher")["version"] = "1"
        bench.schedule(DUE)
        runner.turn(0)
    assert "holds version 1 of the state" in bench.latch.halts[0]
