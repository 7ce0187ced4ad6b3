"""How the contract suites find a recorded vendor.

`tests/recorded/<name>.py` with a function `recorded`.

A vendor without such a file has all it offers at hand and speaks for itself.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.data_fetcher.vendor_registry import VendorPlace, offering
from shared.runtime.clock import ManualClock
from tests.recorded.faults import Recorder
from tests.recorded.market import RecordedMarket

AT_HAND = {"folder", "sample"}
"""Vendors that ask nobody."""


def on_a_network() -> list[str]:
    """The vendors of bars that answer over HTTP; each must have its recorded counterpart."""
    return [name for name in offering("bars") if name not in AT_HAND]


@dataclass(frozen=True)
class RecordedVendor:
    """Where the vendor finds it, and what serves it there: None for one that asks nobody."""

    place: VendorPlace
    server: Recorder | None = None
    bars_path: str = "/"
    """The beginning of the paths at which bars are asked for."""
    spoil: Callable[[Any, int], Any] = lambda document, place: document
    """Makes the open of the bar at a place in an answer no number."""
    undate: Callable[[Any, int], Any] = lambda document, place: document
    """Takes the time away from the bar at a place in an answer."""
    secrets: tuple[str, ...] = ()
    """What must never stand in a URL."""


def recorded_vendor(
    name: str, market: RecordedMarket, stack: ExitStack, folder: Path, clock: ManualClock
) -> RecordedVendor:
    """Serve the market as this vendor would, for as long as the stack lives."""
    module = f"tests.recorded.{name}"
    if importlib.util.find_spec(module) is None:
        return RecordedVendor(VendorPlace())
    vendor: RecordedVendor = importlib.import_module(module).recorded(market, stack, folder, clock)
    return vendor
