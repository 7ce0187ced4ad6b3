"""W1 to W3 with vectorbt: its rolling functions, a flexible order function, its trade records.

Runs in .bench-venv, for it is no dependency of the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import vectorbt as vbt
from numba import njit
from vectorbt.generic import nb as generic
from vectorbt.portfolio import nb
from vectorbt.portfolio.enums import NoOrder

from tests.bench.ours import best_sets
from tests.bench.rules import ATR, COST, FAST, IBS_BARS, MONEY, OUT_AT, SETS, SLOW, TREND, windows

CASH = 1e12


@njit(cache=True)
def wilder_atr(h: Any, lo: Any, c: Any, n: int) -> Any:
    """Vectorbt's own is not seeded with the mean of the first n, as these rules want it."""
    atr = np.full(c.shape, np.nan)
    for col in range(c.shape[1]):
        total = 0.0
        for t in range(1, c.shape[0]):
            ranged = max(h[t, col], c[t - 1, col]) - min(lo[t, col], c[t - 1, col])
            if t <= n:
                total += ranged / n
                if t == n:
                    atr[t, col] = total
            else:
                atr[t, col] = (atr[t - 1, col] * (n - 1) + ranged) / n
    return atr


@njit(cache=True)
def wilder_rsi(c: Any, n: int) -> Any:
    rsi = np.full(c.shape, np.nan)
    for col in range(c.shape[1]):
        gain, loss = 0.0, 0.0
        for t in range(1, c.shape[0]):
            change = c[t, col] - c[t - 1, col]
            up, down = max(change, 0.0), max(-change, 0.0)
            if t <= n:
                gain, loss = gain + up / n, loss + down / n
            else:
                gain, loss = (gain * (n - 1) + up) / n, (loss * (n - 1) + down) / n
            if t >= n:
                rsi[t, col] = 50.0 if gain + loss == 0 else 100 * gain / (gain + loss)
    return rsi


@njit(cache=True)
def order_nb(
    c: Any,
    o: Any,
    lo: Any,
    cl: Any,
    signal: Any,
    leave: Any,
    away: Any,
    bars: int,
    entered: Any,
    sold: Any,
    stop: Any,
) -> Any:
    col, i = c.from_col, c.i
    if c.last_position[col] > 0:
        due = entered[col] < i and (
            i - entered[col] >= bars or (leave.size > 0 and leave[i - 1, col])
        )
        if due or lo[i, col] <= stop[col]:
            sold[col] = i
            price = o[i, col] if due else min(o[i, col], stop[col])
            return col, nb.order_nb(size=-c.last_position[col], price=price, slippage=COST)
    elif (
        sold[col] != i
        and i > 0
        and signal[i - 1, col]
        and away[i - 1, col] > 0
        and cl[i - 1, col] <= MONEY
    ):
        entered[col], stop[col] = i, o[i, col] - away[i - 1, col]
        size = np.floor(MONEY / cl[i - 1, col])
        return col, nb.order_nb(size=size, price=o[i, col], slippage=COST)
    return -1, NoOrder


def prepared(panel: dict[str, Any]) -> dict[str, Any]:
    """(bars, symbols), as vectorbt wants it."""
    return {name: np.array(values.T, order="F") for name, values in panel.items()}


def traded(p: dict[str, Any], signal: Any, leave: Any, away: Any, bars: int) -> tuple[int, float]:
    columns = signal.shape[1]
    state = (np.full(columns, -1), np.full(columns, -1), np.zeros(columns))
    portfolio = vbt.Portfolio.from_order_func(
        p["close"],
        order_nb,
        p["open"],
        p["low"],
        p["close"],
        signal,
        leave,
        away,
        bars,
        *state,
        flexible=True,
        init_cash=CASH,
        max_orders=signal.size // 2 + columns,
        row_wise=False,
        ffill_val_price=False,
        update_value=False,
        fill_pos_record=False,
    )
    closed = portfolio.trades.closed
    return int(closed.count().sum()), float(np.nansum(closed.pnl.sum()))


def highest_before(p: dict[str, Any], n: int) -> Any:
    return np.asfortranarray(generic.fshift_nb(generic.rolling_max_nb(p["high"], n), 1))


NONE = np.zeros((0, 0), np.bool_)


def w1(p: dict[str, Any]) -> tuple[int, float]:
    away = 2.0 * wilder_atr(p["high"], p["low"], p["close"], ATR)
    return traded(p, np.asfortranarray(p["close"] > highest_before(p, FAST)), NONE, away, 20)


def w2(p: dict[str, Any]) -> tuple[int, float]:
    away = 2.0 * wilder_atr(p["high"], p["low"], p["close"], ATR)
    rsi = wilder_rsi(p["close"], 2)
    trend = p["close"] > generic.rolling_mean_nb(p["close"], TREND)
    return traded(
        p, np.asfortranarray((rsi <= 10) & trend), np.asfortranarray(rsi >= OUT_AT), away, 5
    )


def w3(p: dict[str, Any]) -> tuple[int, float]:
    train, test = windows(p["close"].shape[0])
    atr = wilder_atr(p["high"], p["low"], p["close"], ATR)
    rsi = wilder_rsi(p["close"], 2)
    trend = p["close"] > generic.rolling_mean_nb(p["close"], TREND)
    span = p["high"] - p["low"]
    ibs = np.divide(
        p["close"] - p["low"], span, out=np.full(span.shape, np.nan), where=span > 0
    ).round(10)
    out = np.asfortranarray(rsi >= OUT_AT)

    def windowed(s: int, wanted: Sequence[tuple[int, int]]) -> list[tuple[int, float]]:
        kind, value, k = SETS[s]
        signal = (
            p["close"] > highest_before(p, int(value)) if kind == 0 else (rsi if kind == 1 else ibs)
        )
        signal = (
            signal if kind == 0 else ((signal <= value) if kind == 1 else (signal < value)) & trend
        )
        bars = 20 if kind == 0 else SLOW if kind == 1 else IBS_BARS
        leave, away = out if kind == 1 else NONE, k * atr
        return [traded(*cut_to(p, signal, leave, away, window), bars) for window in wanted]

    trained = np.array([[pnl for _, pnl in windowed(s, train)] for s in range(len(SETS))])
    found = [
        windowed(int(s), [window])[0]
        for best in best_sets(trained)
        for s, window in zip(best, test, strict=True)
    ]
    return sum(each[0] for each in found), sum(each[1] for each in found)


def cut_to(
    p: dict[str, Any], signal: Any, leave: Any, away: Any, window: tuple[int, int]
) -> tuple[dict[str, Any], Any, Any, Any]:
    cut = slice(window[0], window[1] + 1)
    part = {name: np.asfortranarray(values[cut]) for name, values in p.items()}
    left = np.asfortranarray(leave[cut]) if leave.size else NONE
    return part, np.asfortranarray(signal[cut]), left, np.asfortranarray(away[cut])


WORK = {"w1": w1, "w2": w2, "w3": w3}
