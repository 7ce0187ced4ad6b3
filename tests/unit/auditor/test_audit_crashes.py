"""Wherever the auditor dies, every entry is in the chain once, in order.

And the chain verifies (fault 54).
"""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.auditor.chain import checkpoints, memory
from services.auditor.evidence.verify import verify_folder
from shared.runtime.bus.memory_bus import MemoryBus
from tests.unit.auditor.bench import Bench


class Died(BaseException):
    """The process is gone; nothing after this ran."""


class Mortality:
    """Kills at one of the points at which the world is touched, now and then."""

    def __init__(self, patch: pytest.MonkeyPatch, dice: random.Random) -> None:
        self._dice, self.deaths = dice, 0
        self.armed = False
        patch.setattr(os, "write", self._torn(os.write))
        patch.setattr(os, "fsync", self._around(os.fsync))
        patch.setattr(MemoryBus, "commit", self._around(MemoryBus.commit))
        for name in ("append_note", "replace_note"):
            around = self._around(getattr(checkpoints, name))
            patch.setattr(f"services.auditor.chain.journal.{name}", around)
        patch.setattr(
            "services.auditor.chain.journal.save_memory", self._around(memory.save_memory)
        )

    def _strikes(self) -> bool:
        return self.armed and self._dice.random() < 0.12

    def _die(self) -> None:
        self.armed = False
        self.deaths += 1
        raise Died

    def _around(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Before it, or after it was done and nobody heard."""

        def touched(*arguments: Any) -> Any:
            if self._strikes():
                self._die()
            result = real(*arguments)
            if self._strikes():
                self._die()
            return result

        return touched

    def _torn(self, real: Callable[[int, bytes], int]) -> Callable[[int, bytes], int]:
        def write(descriptor: int, data: bytes) -> int:
            if self._strikes():
                real(descriptor, bytes(data)[: self._dice.randrange(len(data))])
                self._die()
            return real(descriptor, data)

        return write


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_or_doubled_wherever_it_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    bench = Bench(tmp_path / "audit").start()
    mortality = Mortality(monkeypatch, dice)
    number = 0
    while mortality.deaths < 50:
        fresh = range(number + 1, number + 1 + dice.randrange(4))
        bench.orders(*fresh)
        number += len(fresh)
        mortality.armed = True
        try:
            bench.pass_time(dice.choice([0.1, 30]))
            bench.recorder.turn()
        except Died:
            bench.again()
    mortality.armed = False
    bench.recorder.turn()
    bench.recorder.finish()
    bench.stop()
    expected = [entry_id for entry_id, _ in bench.server.stream("kobe:orders").entries]
    assert bench.recorded("kobe:orders") == expected
    verdict = verify_folder(bench.folder, trust=bench.trust, as_of=bench.clock.now())
    assert (verdict.exit_code, verdict.sealed) == (0, verdict.height)
