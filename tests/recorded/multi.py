"""The vendor `multi` over a recorded Massive alone: what it adds is tested by itself."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from shared.runtime.clock import ManualClock
from tests.recorded import massive
from tests.recorded.market import RecordedMarket
from tests.recorded.vendor import RecordedVendor


def recorded(
    market: RecordedMarket, stack: ExitStack, folder: Path, clock: ManualClock
) -> RecordedVendor:
    found = massive.recorded(market, stack, folder, clock)
    return replace(found, place=replace(found.place, order=("massive",)))
