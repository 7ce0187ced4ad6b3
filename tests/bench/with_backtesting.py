"""W1 and W2 with backtesting.py, one symbol after another as it is made. Runs in .bench-venv.

Its stop must be named when the order is placed; so that it is the stop of the rules (known at the
open) the open of the next bar is looked up. Slippage is charged as commission: the same money.
"""

from __future__ import annotations

import warnings
from typing import Any

import backtesting
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

from shared.domain.arrays.indicator_kernels import (
    average_true_range,
    highest_before,
    moving_average,
    relative_strength,
)
from tests.bench.rules import ATR, COST, FAST, MONEY, OUT_AT, TREND

CASH = 1e9
backtesting.backtesting._tqdm = lambda each, **_: each  # noqa: SLF001  no other way to silence it
FEWEST = 20


class Rules(Strategy):  # type: ignore[misc]
    signal: Any = None
    leave: Any = None
    away: Any = None
    opens: Any = None
    bars = 0

    def init(self) -> None:
        pass

    def next(self) -> None:
        t = len(self.data) - 1
        if self.position:
            if t - self.trades[0].entry_bar >= self.bars - 1 or self.leave[t]:
                self.trades[0].close()
        elif (
            self.signal[t]
            and t + 1 < len(self.opens)
            and self.away[t] > 0
            and self.data.Close[-1] <= MONEY
        ):
            close = self.data.Close[-1]
            stop = min(self.opens[t + 1] - self.away[t], close * 0.9999)
            self.buy(size=int(MONEY // close), sl=stop)


def prepared(panel: dict[str, Any]) -> dict[str, Any]:
    return panel


def traded(p: dict[str, Any], row: int, signal: Any, leave: Any, bars: int) -> tuple[int, float]:
    frame = pd.DataFrame({name.title(): p[name][row] for name in ("open", "high", "low", "close")})
    away = 2.0 * average_true_range(p["high"][row], p["low"][row], p["close"][row], ATR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = Backtest(
            frame, Rules, cash=CASH, commission=lambda size, price: abs(size) * price * COST
        )
        found = run.run(signal=signal, leave=leave, away=away, opens=p["open"][row], bars=bars)
    return len(found["_trades"]), float(found["_trades"]["PnL"].sum())


def w1(p: dict[str, Any]) -> tuple[int, float]:
    never = np.zeros(p["close"].shape[1], np.bool_)
    found = [
        traded(p, row, p["close"][row] > highest_before(p["high"][row], FAST), never, 20)
        for row in range(p["close"].shape[0])
    ]
    return sum(each[0] for each in found), sum(each[1] for each in found)


def w2(p: dict[str, Any]) -> tuple[int, float]:
    found = []
    for row in range(p["close"].shape[0]):
        rsi = relative_strength(p["close"][row], 2)
        signal = (rsi <= 10) & (p["close"][row] > moving_average(p["close"][row], TREND))
        found.append(traded(p, row, signal, rsi >= OUT_AT, 5))
    return sum(each[0] for each in found), sum(each[1] for each in found)


WORK = {"w1": w1, "w2": w2}
