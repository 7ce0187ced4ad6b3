"""`kobe data fetch` as a person runs it.

Killed anywhere, without keys, through workers, on real bars.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from shared.runtime.archive.archive import BarArchive
from tests.integration.data_fetcher.recorded_process import (
    KOBE,
    environ,
    kobe,
    recorded_process,
)
from tests.servers import redis_server

KILLS = 6
BOTH = ["massive", "alpaca"]


def universe(folder: Path, count: int = 40) -> Path:
    file = folder / "universe.csv"
    file.write_text("symbol\n" + "\n".join(f"S{number:03}" for number in range(count)) + "\n")
    return file


def fetched(url: str, vendor: str, folder: Path, *more: str) -> dict[str, object]:
    """The result of a fetch of all the recorded vendor has."""
    done = kobe(
        *("data", "fetch", "--universe", str(universe(folder)), "--vendor", vendor),
        *("--start", "2019-01-02", "--end", "2020-12-31", "--json", *more),
        env=environ(url, folder / "archive"),
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("vendor", BOTH)
def test_killed_anywhere_and_started_again_it_ends_in_the_same_archive(
    vendor: str, tmp_path: Path
) -> None:
    seed = random.randrange(10**6)
    draw = random.Random(seed)
    with recorded_process(vendor, "--delay", "0.01") as url:
        for name in ("whole", "killed"):
            (tmp_path / name).mkdir()
        whole = fetched(url, vendor, tmp_path / "whole")
        command = [
            *(*KOBE, "data", "fetch", "--universe", str(universe(tmp_path / "killed"))),
            *("--vendor", vendor, "--start", "2019-01-02", "--end", "2020-12-31"),
        ]
        for _ in range(KILLS):
            process = subprocess.Popen(
                command,
                env=environ(url, tmp_path / "killed/archive"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(draw.uniform(0.5, 2.5))
            process.send_signal(signal.SIGKILL)
            process.wait()
        again = fetched(url, vendor, tmp_path / "killed")
    assert again["digest"] == whole["digest"], f"seed {seed}"
    archives = [BarArchive.open(tmp_path / name / "archive") for name in ("whole", "killed")]
    assert archives[0].manifest.digests == archives[1].manifest.digests
    assert not list((tmp_path / "killed/archive").glob(".fetching/*"))


def test_workers_make_the_same_archive(tmp_path: Path) -> None:
    with recorded_process("alpaca") as url, redis_server() as redis:
        for name in ("threads", "workers"):
            (tmp_path / name).mkdir()
        alone = fetched(url, "alpaca", tmp_path / "threads")
        env = environ(url, tmp_path / "workers/archive")
        env["KOBE_RESEARCH_REDIS_URL"] = redis.url
        worker = subprocess.Popen([*KOBE, "data", "worker"], env=env)
        try:
            done = kobe(
                *("data", "fetch", "--universe", str(universe(tmp_path / "workers"))),
                *("--vendor", "alpaca", "--start", "2019-01-02", "--end", "2020-12-31"),
                *("--queue", "--json"),
                env=env,
            )
        finally:
            worker.terminate()
            worker.wait(20)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digest"] == alone["digest"]


def test_a_missing_key_a_wrong_key_and_a_vendor_that_is_away_are_one_sentence_each(
    tmp_path: Path,
) -> None:
    file = universe(tmp_path, 3)
    command = [
        "data",
        "fetch",
        "--universe",
        str(file),
        "--vendor",
        "massive",
        "--start",
        "2020-01-02",
    ]
    with recorded_process("massive") as url:
        env = environ(url, tmp_path / "archive")
        missing = kobe(*command, env={**env, "MASSIVE_API_KEY": ""})
        wrong = kobe(*command, env={**env, "MASSIVE_API_KEY": "not-it"})
    assert (missing.returncode, wrong.returncode) == (2, 2)
    assert "needs MASSIVE_API_KEY; put it into .env" in missing.stderr
    assert "refuses the key, HTTP 401 (Unknown API Key): check MASSIVE_API_KEY." in wrong.stderr
    for done in (missing, wrong):
        assert "Traceback" not in done.stderr
        assert "not-it" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence", "code"),
    [
        (["--universe", "/nowhere.csv"], "cannot be read", 1),
        (["--vendor", "masive"], "did you mean 'massive'", 3),
        (["--start", "2021-01-01", "--end", "2020-01-01"], "is after --end", 64),
        (["--basis", "total"], "must be raw or split", 64),
        (["--concurrency", "0"], "concurrency", 64),
        (["--start", "yesterday"], "yesterday", 64),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, arguments: list[str], sentence: str, code: int
) -> None:
    done = kobe("data", "fetch", *arguments, env=environ("http://127.0.0.1:9", tmp_path / "a"))
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_file_and_both_vendors_give_one_digest_for_the_real_bars(
    tmp_path: Path, shared_folder: Path
) -> None:
    """On the basis of the file: it is split-adjusted, and so are the bars asked for."""
    from services.data_fetcher.vendor_registry import VendorPlace, bars_vendor
    from shared.runtime.archive import writer

    file = shared_folder / "data/sp500_daily.parquet"
    own = bars_vendor("folder", VendorPlace(folder=file))
    bars = own.daily_bars(own.symbols(), None, None)
    digest = writer.create(tmp_path / "file", bars, basis=own.basis, source="file").digest()
    (tmp_path / "all.txt").write_text("\n".join(own.symbols()))
    for vendor in BOTH:
        with recorded_process(vendor, "--bars", str(file)) as url:
            done = kobe(
                *("data", "fetch", "--universe", str(tmp_path / "all.txt"), "--vendor", vendor),
                *("--start", "2016-03-14", "--end", "2026-03-13", "--basis", "split", "--json"),
                env=environ(url, tmp_path / vendor),
            )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["digest"] == digest, vendor
