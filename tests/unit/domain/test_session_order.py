"""Which announced sessions are believed: the next one, in its hours, where the broker agrees."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from shared.domain.market.session_order import AnnouncedSession, session_problem
from shared.schemas.values import MarketView, TradingSession

FRIDAY, MONDAY, TUESDAY = dt.date(2024, 1, 5), dt.date(2024, 1, 8), dt.date(2024, 1, 9)


def at(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), dt.UTC)


def opening(day: dt.date = MONDAY, **changes: Any) -> AnnouncedSession:
    values: dict[str, Any] = {
        "session": day,
        "previous": FRIDAY,
        "open_at": at(day, 14, 30),
        "closes_at": at(day, 21),
    }
    return AnnouncedSession(**{**values, **changes})


def broker(*days: dt.date, closes: int = 21) -> MarketView:
    """The broker's calendar of the week from Monday."""
    return MarketView(
        at=at(MONDAY, 14),
        is_open=True,
        first=MONDAY,
        last=MONDAY + dt.timedelta(days=7),
        sessions=tuple(
            TradingSession(session=day, opens_at=at(day, 14, 30), closes_at=at(day, closes))
            for day in days
        ),
    )


def problem(
    announced: AnnouncedSession,
    *,
    last: dt.date | None = FRIDAY,
    now: dt.datetime | None = None,
    market: MarketView | None = None,
    replay: bool = False,
) -> str:
    wall = None if replay else now or announced.open_at
    return session_problem(announced, last=last, announced_at=wall, market=market)


@pytest.mark.parametrize("replay", [False, True])
@pytest.mark.parametrize("last", [None, FRIDAY, MONDAY])
def test_the_next_session_and_a_repeat_are_believed(replay: bool, last: dt.date | None) -> None:
    assert problem(opening(), last=last, replay=replay) == ""


@pytest.mark.parametrize("replay", [False, True])
@pytest.mark.parametrize(
    ("announced", "why"),
    [
        (opening(dt.date(2024, 1, 6), previous=FRIDAY), "weekend"),
        (opening(dt.date(2024, 1, 4), previous=None), "before 2024-01-05"),
        (opening(dt.date(1999, 1, 4), previous=None), "before 2024-01-05"),
        (opening(previous=MONDAY), "the session before it is 2024-01-08"),
    ],
)
def test_what_cannot_come_next_is_not_believed(
    announced: AnnouncedSession, why: str, replay: bool
) -> None:
    assert why in problem(announced, replay=replay)


@pytest.mark.parametrize(
    ("announced", "why"),
    [
        (opening(dt.date(2031, 1, 6)), "too long after 2024-01-05"),
        (opening(TUESDAY, previous=MONDAY), "2024-01-08, was never opened"),
    ],
)
def test_a_replay_leaves_no_session_out(announced: AnnouncedSession, why: str) -> None:
    assert why in problem(announced, replay=True)


@pytest.mark.parametrize(
    ("changes", "now", "why"),
    [
        ({}, at(MONDAY, 14, 28), "announced at"),
        ({}, at(MONDAY, 21, 2), "announced at"),
        ({}, at(FRIDAY, 15), "announced at"),
        (
            {"open_at": at(TUESDAY, 14, 30), "closes_at": at(TUESDAY, 21)},
            None,
            "open at 2024-01-09",
        ),
        ({"closes_at": at(MONDAY, 14)}, at(MONDAY, 14, 30), "to close at"),
        ({"closes_at": at(MONDAY, 22)}, None, "to close at"),
    ],
)
def test_a_session_is_announced_in_its_own_hours(
    changes: dict[str, Any], now: dt.datetime | None, why: str
) -> None:
    assert why in problem(opening(**changes), now=now)


def test_a_session_in_years_to_come_is_not_announced_today() -> None:
    assert "announced at" in problem(opening(dt.date(2031, 1, 6)), now=at(MONDAY, 15))


def test_after_a_long_absence_todays_session_is_believed() -> None:
    assert problem(opening(), last=dt.date(2023, 6, 1)) == ""


def test_the_brokers_calendar_must_have_the_session_with_its_close() -> None:
    assert problem(opening(), market=broker(MONDAY, TUESDAY)) == ""
    assert "no such session" in problem(opening(), market=broker(TUESDAY))
    assert "the broker's calendar has it" in problem(opening(), market=broker(MONDAY, closes=18))


def test_a_calendar_that_does_not_reach_so_far_says_nothing() -> None:
    later = dt.date(2024, 2, 5)
    assert problem(opening(later, previous=None), market=broker(MONDAY)) == ""


def test_a_scan_is_within_the_brokers_hours() -> None:
    scan = opening(open_at=at(MONDAY, 15, 30))
    early = opening(open_at=at(MONDAY, 14, 15))
    assert problem(scan, market=broker(MONDAY)) == ""
    assert "the broker's calendar has it" in problem(early, market=broker(MONDAY))
