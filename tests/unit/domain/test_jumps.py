"""Jumps that look like splits are found, crashes are not."""

from dataclasses import replace

import numpy as np
import pytest

from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import PRICES, Panel
from shared.domain.market.jumps import find_jumps, guess_basis
from tests.oracles.made_bars import cent_walks

AT = 60


def split_at(panel: Panel, ratio: float, *, dollars: float = 1.0, at: int = AT) -> Panel:
    """The first symbol costs a `ratio`-th from a session on.

    And trades so many times the dollars.
    """
    fields = {name: getattr(panel, name).copy() for name in (*PRICES, "volume")}
    for name in PRICES:
        fields[name][0, at:] = np.round(fields[name][0, at:] / ratio, 4)
    fields["volume"][0, at:] *= ratio
    fields["volume"][0, at : at + 3] *= dollars
    return replace(panel, **fields)


@pytest.fixture
def panel() -> Panel:
    return cent_walks(3, symbols=4, bars=200)


@pytest.mark.parametrize(
    "ratio", [(2, 1), (3, 1), (7, 1), (20, 1), (3, 2), (1, 8), (1, 20), (5, 4)]
)
def test_a_split_is_found_with_its_session_and_ratio(panel: Panel, ratio: tuple[int, int]) -> None:
    (jump,) = find_jumps(split_at(panel, ratio[0] / ratio[1]))
    assert (jump.symbol, jump.session, jump.new, jump.old) == ("S0", panel.sessions[AT], *ratio)


def test_prices_that_only_walk_have_none(panel: Panel) -> None:
    assert find_jumps(panel) == []


def test_a_crash_trades_many_times_its_dollars_and_is_none(panel: Panel) -> None:
    assert find_jumps(split_at(panel, 2, dollars=12)) == []


def test_a_fall_by_a_third_that_is_no_ratio_is_none(panel: Panel) -> None:
    assert find_jumps(split_at(panel, 1.62)) == []


def test_a_price_that_stood_still_proves_nothing(panel: Panel) -> None:
    still = np.full_like(panel.close, 100.0)
    flat = replace(panel, open=still, high=still, low=still, close=still)
    assert find_jumps(split_at(flat, 2)) == []


def test_a_jump_over_a_short_halt_is_found_and_over_a_long_one_is_not(panel: Panel) -> None:
    for missing, expected in ((3, 1), (30, 0)):
        split = split_at(panel, 2)
        for name in (*PRICES, "volume"):
            getattr(split, name)[0, AT - missing : AT] = np.nan
        assert len(find_jumps(split)) == expected


def test_one_jump_among_few_bars_looks_raw_and_among_very_many_does_not(panel: Panel) -> None:
    few = split_at(panel, 2)
    assert guess_basis(few, find_jumps(few)) is Basis.RAW
    assert guess_basis(panel, []) is Basis.SPLIT
    many = split_at(cent_walks(3, symbols=300, bars=300), 2)
    assert guess_basis(many, find_jumps(many)) is Basis.SPLIT


def test_a_small_ratio_or_a_jump_at_the_very_start_does_not_look_raw(panel: Panel) -> None:
    for changed in (split_at(panel, 5 / 4), split_at(panel, 2, at=8)):
        assert guess_basis(changed, find_jumps(changed)) is Basis.SPLIT
