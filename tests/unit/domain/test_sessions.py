"""The exchange's sessions by rule are those of the calendar library, day by day."""

import datetime as dt
import warnings

import numpy as np
import pytest
from hypothesis import given, strategies as st

from shared.domain.market.sessions import (
    is_session,
    next_session,
    session_number,
    sessions_between,
)

DAYS = st.dates(dt.date(1962, 1, 2), dt.date(2059, 12, 31))


def day(text: str) -> np.datetime64:
    return np.datetime64(text, "D")


def test_sessions_equal_the_exchange_calendar_from_1970_to_2060() -> None:
    import exchange_calendars

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        calendar = exchange_calendars.get_calendar("XNYS", start="1970-01-01", end="2060-12-31")
    theirs = calendar.sessions.to_numpy().astype("datetime64[D]")
    ours = sessions_between(day("1970-01-01"), day("2060-12-31"))
    assert np.setxor1d(theirs, ours).astype(str).tolist() == []


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("1963-11-25", False),  # the funeral of a president
        ("1964-11-03", False),  # election day
        ("1968-06-12", False),  # a Wednesday of the paperwork crisis
        ("1968-07-03", True),  # a Wednesday of a week with a holiday
        ("1969-02-21", False),  # Washington's birthday on a Saturday
        ("2001-09-12", False),
        ("2012-10-29", False),
        ("2021-06-18", True),  # the exchange kept Juneteenth from 2022 on
        ("2022-06-20", False),
        ("2021-12-31", True),  # New Year's day on a Saturday is not made up for
        ("2025-01-09", False),
        ("2024-11-29", True),  # a half day is a session
        ("2024-07-06", False),
        ("1961-12-29", False),  # before the calendar begins
        ("2061-01-03", False),
    ],
)
def test_a_day_is_a_session_or_not(text: str, is_open: bool) -> None:
    assert bool(is_session(np.array([text], "datetime64[D]"))[0]) is is_open


def test_the_next_session_skips_weekends_and_holidays() -> None:
    assert str(next_session(day("2024-07-03"))) == "2024-07-05"
    assert str(next_session(dt.date(2024, 12, 24))) == "2024-12-26"
    assert str(next_session(day("2024-06-15"))) == "2024-06-17"


@given(DAYS)
def test_the_next_session_is_the_first_one_of_those_that_follow(first: dt.date) -> None:
    following = sessions_between(first + dt.timedelta(days=1), first + dt.timedelta(days=12))
    assert next_session(first) == following[0]


@given(DAYS, DAYS)
def test_session_numbers_count_the_sessions_between_two_days(one: dt.date, other: dt.date) -> None:
    first, last = np.datetime64(min(one, other), "D"), np.datetime64(max(one, other), "D")
    numbers = session_number(np.array([first, last]))
    assert numbers[1] - numbers[0] == sessions_between(first, last - 1).size
