"""What bars are worth: reach, gaps, staleness, and where two sources differ."""

import datetime as dt
from dataclasses import replace

import numpy as np

from shared.domain.market.adjustment import Basis
from shared.domain.market.bar_check import check_bars, compare_bars
from shared.domain.market.bars import align
from tests.bar_rows import bar_rows, trading_days

START = dt.date(2024, 1, 2)
DAYS = trading_days(START, 20)


def test_reach_gaps_and_stale_symbols_are_told_symbol_by_symbol() -> None:
    bars = bar_rows({"A": 20, "B": 20, "C": 12}, start=START)
    gone = (bars.row == 1) & np.isin(bars.session, np.array([DAYS[3], DAYS[9]], "datetime64[D]"))
    found = check_bars(align(bars.only(~gone)), source="x", basis=Basis.SPLIT)
    whole, holed, ended = found.symbols
    assert (whole.rows, whole.first, whole.last, whole.is_clean) == (20, DAYS[0], DAYS[19], True)
    assert (holed.missing, holed.missing_first) == (2, (DAYS[3], DAYS[9]))
    assert (ended.sessions_behind, ended.missing) == (8, 0)
    assert (found.bars, found.missing, found.stale) == (50, 2, ("C",))


def test_refusals_and_jumps_make_a_symbol_odd() -> None:
    panel = align(bar_rows({"A": 5, "B": 5}, start=START))
    found = check_bars(
        panel, source="x", basis=Basis.RAW, refused={"no_session": 1},
        refused_by_symbol={"A": 1}, jumps={"B": ["2024-01-04 2:1"]},
    )  # fmt: skip
    assert [each.is_clean for each in found.symbols] == [False, False]
    assert found.jumps == 1


def test_two_sources_are_compared_where_both_have_a_bar() -> None:
    one = align(bar_rows({"A": 20, "B": 20}, start=START))
    other = replace(align(bar_rows({"A": 20, "C": 20}, start=START)))
    other.close[0, 4] *= 1.01
    other.open[0, 4] *= 1.01
    found = compare_bars(one, other)
    assert (found.compared, found.differing, found.symbols) == (20, 1, 1)
    assert [(each.session, each.field) for each in found.differences] == [
        (DAYS[4], "open"),
        (DAYS[4], "close"),
    ]
