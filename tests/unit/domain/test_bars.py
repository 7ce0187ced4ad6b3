"""BarDefect bars are refused one by one, the rest is aligned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from shared.domain.market.bars import Bars, align
from shared.domain.market.refusals import BarDefect, RefusedBar, refuse_impossible

GOOD = (100.0, 101.0, 99.0, 100.5, 1000.0)
NAN = float("nan")


def bars(*rows: tuple[str, str, tuple[float, ...]], dtype: Any = np.float64) -> Bars:
    symbols = tuple(dict.fromkeys(symbol for symbol, _, _ in rows))
    fields = np.array([values for _, _, values in rows], dtype).reshape(-1, 5).T
    return Bars(
        symbols,
        np.array([symbols.index(symbol) for symbol, _, _ in rows], np.int32),
        np.array([day for _, day, _ in rows], "datetime64[D]"),
        *fields,
    )


def day(number: int) -> str:
    return f"2024-01-{number:02d}"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((NAN, 101, 99, 100, 1), BarDefect.NOT_A_NUMBER),
        ((100, float("inf"), 99, 100, 1), BarDefect.NOT_A_NUMBER),
        ((100, 101, 99, 100, NAN), BarDefect.NOT_A_NUMBER),
        ((100, 101, 0, 100, 1), BarDefect.NOT_POSITIVE),
        ((-1, 101, 99, 100, 1), BarDefect.NOT_POSITIVE),
        ((0.00004, 101, 99, 100, 1), BarDefect.NOT_POSITIVE),
        ((100, 101, 99, 100, -5), BarDefect.NOT_POSITIVE),
        ((100, 99, 101, 100, 1), BarDefect.HIGH_BELOW_LOW),
        ((102, 101, 99, 100, 1), BarDefect.OPEN_OUTSIDE_RANGE),
        ((98, 101, 99, 100, 1), BarDefect.OPEN_OUTSIDE_RANGE),
        ((100, 101, 99, 101.02, 1), BarDefect.CLOSE_OUTSIDE_RANGE),
        ((100, 101, 99, 98.98, 1), BarDefect.CLOSE_OUTSIDE_RANGE),
    ],
)
def test_an_impossible_bar_is_refused_with_its_reason(
    values: tuple[float, ...], reason: BarDefect
) -> None:
    good, refused = refuse_impossible(
        bars(("A", day(2), GOOD), ("A", day(3), values), ("A", day(4), GOOD))
    )
    assert [(each.symbol, str(each.session), each.reason) for each in refused] == [
        ("A", day(3), reason)
    ]
    assert good.session.tolist() == bars(("A", day(2), GOOD), ("A", day(4), GOOD)).session.tolist()


@pytest.mark.parametrize(
    ("close", "refused"), [(100.01, 0), (100.0101, 1), (98.9901, 0), (98.99, 1)]
)
def test_a_close_may_lie_one_hundredth_of_a_percent_outside_the_range(
    close: float, refused: int
) -> None:
    assert (
        len(refuse_impossible(bars(("A", day(2), (99.5, 100.0, 99.0, close, 1.0))))[1]) == refused
    )


def test_equal_bars_of_a_session_are_kept_once() -> None:
    rows = [
        ("A", day(2), (100.0, 99.0, 101.0, 100.0, 1.0)),
        ("A", day(2), GOOD),
        ("A", day(2), GOOD),
    ]
    good, refused = refuse_impossible(bars(*rows))
    assert [each.reason for each in refused] == [BarDefect.HIGH_BELOW_LOW, BarDefect.DUPLICATE]
    assert good.close.tolist() == [100.5]


def test_bars_of_one_session_that_differ_are_all_refused_with_both_values() -> None:
    other = (100.0, 101.0, 99.0, 100.25, 1000.0)
    rows = [("A", day(2), GOOD), ("B", day(2), other), ("A", day(3), GOOD), ("A", day(2), other)]
    good, refused = refuse_impossible(bars(*rows))
    assert [(each.symbol, each.reason) for each in refused] == [
        ("A", BarDefect.CONFLICTING_DUPLICATE)
    ] * 2
    assert {each.detail for each in refused} == {"close 100.5 and 100.25"}
    assert good.row.tolist() == [1, 0]


def test_order_is_no_flaw_of_a_bar() -> None:
    rows = [("B", day(5), GOOD), ("A", day(3), GOOD), ("B", day(4), GOOD), ("A", day(4), GOOD)]
    good, refused = refuse_impossible(bars(*rows))
    assert not refused
    assert np.isfinite(align(good).close).sum() == 4


@pytest.mark.parametrize("closed", ["2024-01-06", "2024-01-15", "2024-03-29", "1928-01-03"])
def test_a_bar_on_a_day_without_a_session_is_refused_as_such(closed: str) -> None:
    good, refused = refuse_impossible(bars(("A", day(5), GOOD), ("A", closed, GOOD)))
    assert refused == [
        RefusedBar("A", np.datetime64(closed), BarDefect.NO_SESSION, refused[0].detail)
    ]
    assert good.row.size == 1


def test_a_refused_bar_shows_its_values() -> None:
    _, refused = refuse_impossible(bars(("A", day(2), (100.0, 99.5, 101.0, 100.0, 1e9))))
    assert refused[0].detail == "open 100 high 99.5 low 101 close 100 volume 1000000000"


def test_prices_become_the_float64_nearest_to_four_decimals() -> None:
    good, _ = refuse_impossible(
        bars(("A", day(2), (100.1, 101.1, 99.1, 100.3, 7.0)), dtype=np.float32)
    )
    assert [good.open[0], good.high[0], good.low[0], good.close[0]] == [100.1, 101.1, 99.1, 100.3]


def test_bars_are_aligned_on_every_session_from_first_to_last() -> None:
    panel = align(bars(("A", day(2), GOOD), ("A", day(8), GOOD), ("B", day(4), GOOD)))
    assert panel.symbols == ("A", "B")
    assert panel.sessions.astype(str).tolist() == [day(each) for each in (2, 3, 4, 5, 8)]
    assert np.isfinite(panel.close).tolist() == [
        [True, False, False, False, True],
        [False, False, True, False, False],
    ]
    assert panel.volume[1, 2] == 1000.0
    assert panel.close.flags.c_contiguous


def test_the_columns_of_a_symbol_do_not_depend_on_who_else_is_there() -> None:
    alone = align(bars(("A", day(2), GOOD), ("A", day(8), GOOD)))
    among = align(bars(("A", day(2), GOOD), ("A", day(8), GOOD), ("B", day(4), GOOD)))
    assert np.array_equal(alone.sessions, among.sessions)
    assert np.array_equal(alone.close[0], among.close[0], equal_nan=True)


def test_a_bar_that_lies_on_no_session_cannot_be_aligned() -> None:
    with pytest.raises(ValueError, match="without a session"):
        align(bars(("A", day(5), GOOD), ("A", day(6), GOOD)))


def test_no_bars_make_an_empty_panel() -> None:
    good, refused = refuse_impossible(bars())
    assert not refused
    assert align(good).shape == (0, 0)


def test_a_panel_is_cut_by_session_and_by_symbol() -> None:
    panel = align(bars(("A", day(2), GOOD), ("B", day(3), GOOD), ("C", day(4), GOOD)))
    assert panel.through(np.datetime64(day(3))).sessions.astype(str).tolist() == [day(2), day(3)]
    assert panel.through(np.datetime64("2023-12-31")).shape == (3, 0)
    assert panel.select(["C", "A"]).symbols == ("C", "A")
    assert panel.select(["C"]).close[0, 2] == 100.5
    assert panel.row("B") == 1


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(2, 31)), max_size=30))
def test_what_is_let_in_is_unique_and_nothing_is_lost(rows: list[tuple[str, int]]) -> None:
    given_bars = bars(*((symbol, day(number), GOOD) for symbol, number in rows))
    good, refused = refuse_impossible(given_bars)
    assert good.row.size + len(refused) == len(rows)
    kept = set(zip(good.row.tolist(), good.session.tolist(), strict=True))
    assert len(kept) == good.row.size
    panel = align(good)
    assert int(np.isfinite(panel.close).sum()) == good.row.size
