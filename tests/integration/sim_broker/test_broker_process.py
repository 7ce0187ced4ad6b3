"""The broker as a process over a real archive: it waits for bars, is killed, comes back."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from services.sim_broker.archive_market_data import ArchiveMarketData
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars
from shared.runtime.archive import writer
from shared.schemas.values import Bar
from tests.servers import free_port
from tests.unit.sim_broker.bar_table import DAYS

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 60.0


def bars(symbol: str, days: list[dt.date], opening: float = 100.0) -> Bars:
    """Flat bars: high one above, low one below."""
    prices = np.full(len(days), opening)
    sessions = np.array(days, "datetime64[D]")
    row = np.zeros(len(days), np.int32)
    return Bars((symbol,), row, sessions, prices, prices + 1, prices - 1, prices, prices * 10)


def test_archived_bars_are_read_as_exact_decimals_and_appended_ones_are_seen(
    tmp_path: Path,
) -> None:
    archive = writer.create(tmp_path, bars("AAPL", DAYS[:3], 100.1234), basis=Basis.RAW, source="x")
    read = ArchiveMarketData(tmp_path)
    price = Decimal("100.1234")
    expected = Bar(open=price, high=price + 1, low=price - 1, close=price)
    assert read.bar("AAPL", DAYS[2]) == expected
    assert read.bar("AAPL", DAYS[3]) is None
    assert read.bar("GONE", DAYS[2]) is None
    writer.append(archive.folder, bars("AAPL", DAYS[3:4], 101.0))
    assert list(read.sessions()) == DAYS[:4]
    later = read.bar("AAPL", DAYS[3])
    assert later
    assert later.open == 101


class Process:
    """`python -m services.sim_broker` on a port and folders of its own."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ = {
            "PATH": os.environ["PATH"],
            "KOBE_HTTP_PORT": str(self.port),
            "KOBE_STATE_DIR": str(folder / "state"),
            "KOBE_ARCHIVE_DIR": str(folder / "archive"),
            "KOBE_LOG_DIR": str(folder / "logs"),
            **environ,
        }
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "services.sim_broker"]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self._environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)

    def __call__(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, self.url + path, json=body, timeout=10)

    def until(self, path: str, status: int) -> requests.Response:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                reply = self("GET", path)
                if reply.status_code == status:
                    return reply
            except requests.ConnectionError:
                assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    started = Process(tmp_path)
    yield started
    started.kill()


def test_a_killed_process_comes_back_with_orders_cash_and_stage(process: Process) -> None:
    assert "no bars yet" in process.until("/readiness", 503).json()["reasons"][0]
    assert process("GET", "/v2/account").status_code == 503
    writer.create(process.folder / "archive", bars("AAPL", DAYS), basis=Basis.RAW, source="x")
    process.until("/readiness", 200)
    process("POST", "/sim/advance", {"session": str(DAYS[1]), "stage": "open"})
    order = {"symbol": "AAPL", "qty": "6", "side": "buy", "type": "limit", "time_in_force": "ioc"}
    taken = process(
        "POST", "/v2/orders", {**order, "limit_price": "100.10", "client_order_id": "k81-once"}
    ).json()
    before = [
        process("GET", path).json()
        for path in ("/v2/account", "/sim/state", "/v2/orders?status=all")
    ]
    process.kill()
    process.start()
    process.until("/readiness", 200)
    after = [
        process("GET", path).json()
        for path in ("/v2/account", "/sim/state", "/v2/orders?status=all")
    ]
    assert after == before
    assert process("GET", f"/v2/orders/{taken['id']}").json()["status"] == "filled"
    again = process(
        "POST", "/v2/orders", {**order, "limit_price": "100.10", "client_order_id": "k81-once"}
    )
    assert again.json()["message"] == "client_order_id must be unique"
    assert process("POST", "/sim/faults", {"kind": "refuse"}).status_code == 404
    process.process.terminate()
    assert process.ended()[0] == 0


def test_it_refuses_to_go_on_upon_bars_that_lack_its_session(process: Process) -> None:
    writer.create(process.folder / "archive", bars("AAPL", DAYS), basis=Basis.RAW, source="x")
    process.until("/readiness", 200)
    process("POST", "/sim/advance", {"session": str(DAYS[5]), "stage": "open"})
    process.kill()
    writer.create(process.folder / "archive", bars("AAPL", DAYS[:3]), basis=Basis.RAW, source="y")
    process.start()
    code, said = process.ended()
    assert code == 1
    assert f"stands at session {DAYS[5]}" in said


def test_it_runs_in_mode_sim_only(tmp_path: Path) -> None:
    code, said = Process(tmp_path, KOBE_MODE="paper").ended()
    assert code == 2
    assert "in mode sim only" in said
