"""Made bars for proofs: coarse random walks full of ties, and holes cut into any panel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from shared.domain.market.bars import FIELDS, Panel
from shared.domain.market.sessions import Sessions, sessions_between


def first_sessions(count: int) -> Sessions:
    """So many exchange sessions from the last one of 2019 on."""
    return sessions_between(np.datetime64("2019-12-31"), np.datetime64("2060-12-31"))[:count]


def panel_of_close(
    close: Any, *, spread: Any = 1.0, symbols: tuple[str, ...] | None = None
) -> Panel:
    """A panel whose high and low lie `spread` around the close; (symbols, bars)."""
    close = np.atleast_2d(np.asarray(close, np.float64))
    names = symbols or tuple(f"S{row}" for row in range(close.shape[0]))
    sessions = first_sessions(close.shape[1])
    high, low = np.round(close + spread, 4), np.round(close - spread, 4)
    return Panel(names, sessions, close.copy(), high, low, close, np.full_like(close, 1e6))


def cent_walks(seed: int, *, symbols: int, bars: int) -> Panel:
    """Random walks in steps of a few cents around 20 dollars: equal prices and ranges abound."""
    draw = np.random.default_rng(seed)
    cents = 2000 + np.cumsum(draw.integers(-4, 5, (symbols, bars)), axis=1)
    opening = cents + draw.integers(-3, 4, cents.shape)
    high = np.maximum(cents, opening) + draw.integers(0, 4, cents.shape)
    low = np.minimum(cents, opening) - draw.integers(0, 4, cents.shape)
    names = tuple(f"S{row}" for row in range(symbols))
    sessions = first_sessions(bars)
    prices = [np.round(values / 100, 4) for values in (opening, high, low, cents)]
    return Panel(
        names, sessions, prices[0], prices[1], prices[2], prices[3], np.full(cents.shape, 1e6)
    )


def holed(panel: Panel, seed: int = 7) -> Panel:
    """One bar in ten taken away, the first symbol listed late and the last one gone early."""
    missing = np.random.default_rng(seed).random(panel.shape) < 0.1
    missing[0, : panel.shape[1] // 3] = True
    missing[-1, -panel.shape[1] // 3 :] = True
    missing[1 % panel.shape[0]] = False
    fields: dict[str, Any] = {
        name: np.where(missing, np.nan, getattr(panel, name)) for name in FIELDS
    }
    return replace(panel, **fields)
