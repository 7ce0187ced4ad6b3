"""A full audit disk: nothing is said to be on disk that is not, and nothing is lost (fault 55)."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.auditor.evidence.verify import verify_folder
from shared.domain.errors import TransientError
from shared.schemas.streams import Stream
from tests.unit.auditor.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "audit").start()
    bench.orders(1, 2)
    bench.recorder.turn()
    yield bench
    bench.stop()


@pytest.mark.parametrize("where", ["records", "notes", "memory"])
def test_while_the_disk_is_full_the_lag_grows_and_afterwards_all_is_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = dict(bench.server.hash("kobe:state:auditor"))
    bench.orders(3, 4)
    bench.pass_time(61)
    if where == "records":
        monkeypatch.setattr(os, "write", full)
    elif where == "notes":
        monkeypatch.setattr(os, "fsync", lambda descriptor: _full_on_notes(descriptor))
    else:
        monkeypatch.setattr("services.auditor.chain.memory.write_file", full)
    with pytest.raises(TransientError, match="No space left"):
        bench.recorder.turn()
    assert bench.server.hash("kobe:state:auditor")["complete_at"] == before["complete_at"]
    monkeypatch.undo()
    bench.pass_time(61)
    bench.recorder.turn()
    bench.recorder.finish()
    verdict = verify_folder(bench.folder, trust=bench.trust, as_of=bench.clock.now())
    assert (verdict.exit_code, verdict.sealed) == (0, verdict.height)
    said = [entry_id for entry_id, _ in bench.server.stream(Stream.ORDERS.key).entries]
    assert bench.recorded(Stream.ORDERS.key) == said


REAL_FSYNC = os.fsync


def _full_on_notes(descriptor: int) -> None:
    if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".notes":
        raise OSError(errno.ENOSPC, "No space left on device")
    REAL_FSYNC(descriptor)
