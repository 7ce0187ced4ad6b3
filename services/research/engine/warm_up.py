"""Compiles every kernel into the disk cache: `python -m services.research.engine.warm_up`.

Run once, when an image is built; after it nothing compiles at first use.
"""

import numpy as np

from services.research.engine.warm_kernels import warm_kernels
from shared.domain.arrays import indicators
from shared.domain.market.bars import Panel
from shared.strategies import registry


def warm() -> tuple[str, ...]:
    """Run every strategy, indicator and kernel once on a small panel, as in use."""
    panel = _waves(symbols=2, bars=260)
    names = registry.available()
    for name in names:
        strategy = registry.load(name)
        strategy.signals(panel, strategy.Params())
    warm_kernels()
    _indicators(panel)
    return names


def _indicators(panel: Panel) -> None:
    high, low, close = panel.high, panel.low, panel.close
    for measure in (indicators.sma, indicators.highest, indicators.lowest, indicators.rsi):
        measure(close, 14)
    for age in (indicators.bars_since_highest, indicators.bars_since_lowest):
        age(close, 14)
    indicators.true_range(high, low, close)
    indicators.atr(high, low, close, 14)
    indicators.ibs(high, low, close)
    indicators.previous(close, close)


def _waves(*, symbols: int, bars: int) -> Panel:
    names = tuple(f"WAVE{number}" for number in range(symbols))
    close = np.round(100 + 10 * np.sin(np.arange(symbols * bars).reshape(symbols, bars) / 7), 4)
    sessions = np.datetime64("2020-01-01", "D") + np.arange(bars)
    return Panel(names, sessions, close, close + 1, close - 1, close, np.full_like(close, 1e6))


if __name__ == "__main__":
    print("compiled:", ", ".join(warm()))
