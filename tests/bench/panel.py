"""The made panel of the benches: 900 symbols over 2,520 business days, the same on every machine.

Written once as .npy files, so that every engine reads the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SYMBOLS, BARS, SEED = 900, 2520, 81
GAP = 0.4
FIELDS = ("open", "high", "low", "close")


def made(symbols: int = SYMBOLS, bars: int = BARS) -> dict[str, Floats]:
    """(symbols, bars) each; daily volatility 1.5 to 3 %, 40 % of it overnight, four decimals."""
    draw = np.random.default_rng(SEED)
    daily = draw.uniform(0.015, 0.03, (symbols, 1))
    overnight = draw.standard_normal((symbols, bars)) * daily * GAP
    within = draw.standard_normal((symbols, bars)) * daily * np.sqrt(1 - GAP**2)
    close = 100 * np.exp(np.cumsum(overnight + within, axis=1))
    opening = close / np.exp(within)
    reach = np.abs(draw.standard_normal((2, symbols, bars))) * daily * 0.5
    high, low = (
        np.maximum(opening, close) * (1 + reach[0]),
        np.minimum(opening, close) * (1 - reach[1]),
    )
    fields = dict(zip(FIELDS, (opening, high, low, close), strict=True))
    return {
        name: np.ascontiguousarray(np.round(np.maximum(values, 0.01), 4))
        for name, values in fields.items()
    }


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in made().items():
        np.save(folder / f"{name}.npy", values)


def mapped(folder: Path, symbols: int = SYMBOLS, bars: int = BARS) -> dict[str, Any]:
    """Memory maps of the first symbols and sessions; whole ones are contiguous."""
    found = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r")[:symbols, :bars] for name in FIELDS
    }
    return {name: np.ascontiguousarray(values) for name, values in found.items()}
