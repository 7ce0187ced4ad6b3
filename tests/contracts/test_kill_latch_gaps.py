"""What a kill latch does when it could not listen.

Redis away, restarted, emptied; itself cut off.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from shared.runtime.bus.redis_connection import Address
from shared.runtime.kill.channel import RedisKillLine
from shared.runtime.kill.latch import KillLatch
from shared.runtime.kill.resume import resume
from shared.runtime.provisioning.streams import init_streams
from shared.schemas.streams import KILL_LOG
from shared.schemas.values import Mode
from tests.contracts.kill_world import (
    EXECUTOR,
    GATE,
    durable,
    eventually,
    started,
)
from tests.servers import redis_server


def test_while_redis_is_away_a_latch_is_halted_and_runs_again_when_it_is_back(
    tmp_path: Path,
) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        server.kill()
        eventually(lambda: "no latch read for 500 ms" in latch.reasons())
        server.start()
        eventually(lambda: latch.reasons() == ())
        latch.stop()


def test_a_halt_while_redis_is_away_reaches_the_log_later_and_survives_a_restart(
    tmp_path: Path,
) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        server.kill()
        latch.halt("drift")
        latch.stop()
        server.start()
        again = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        eventually(lambda: durable(again))
        with closing(server.connection()) as reader:
            assert reader.one("XREVRANGE", KILL_LOG, "+", "-")[0][1] == [
                "by",
                "risk-gate",
                "why",
                "drift",
            ]
        again.stop()


def test_a_cut_listener_alone_trusts_another_that_listened_throughout(tmp_path: Path) -> None:
    """Live: a kill could have been missed only if nobody else heard the channel meanwhile."""
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        witness = started(server, EXECUTOR, tmp_path / "executor", tmp_path / "KILL_SWITCH")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        time.sleep(2.2)
        latch.stop()
        again = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH", mode=Mode.LIVE)
        assert again.reasons() == ()
        witness.stop()
        again.stop()


def test_live_comes_up_halted_when_nobody_listened_and_paper_goes_on(tmp_path: Path) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        paper = started(
            server, EXECUTOR, tmp_path / "executor", tmp_path / "KILL_SWITCH", mode=Mode.PAPER
        )
        assert paper.reasons() == ()
        paper.stop()
        live = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH", mode=Mode.LIVE)
        eventually(lambda: durable(live))
        assert "nobody listened" in live.reasons()[0]
        resume(admin, str(live.view().last_id), by="operator", why="looked")
        eventually(lambda: live.reasons() == ())
        live.stop()


def test_live_is_halted_after_the_server_was_restarted(tmp_path: Path) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH", mode=Mode.LIVE)
        eventually(lambda: durable(latch))
        resume(admin, str(latch.view().last_id), by="operator", why="first start")
        eventually(lambda: latch.reasons() == ())
        server.kill()
        server.start()
        eventually(lambda: durable(latch))
        latch.stop()


def test_after_flushall_everything_stays_halted_because_genesis_is_written_once(
    tmp_path: Path,
) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        assert init_streams(admin, tmp_path / "genesis")
        admin.one("FLUSHALL")
        assert not init_streams(admin, tmp_path / "genesis")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        assert latch.reasons() == ("kill keys absent",)
        latch.stop()


def test_a_latch_knows_where_it_stands_as_soon_as_it_is_started(tmp_path: Path) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        latch = KillLatch(
            RedisKillLine(Address.parse(server.url)),
            GATE,
            mode=Mode.PAPER,
            state_dir=tmp_path / "gate",
        )
        latch.start()
        reasons = latch.reasons()
        latch.stop()
        assert reasons == ()
