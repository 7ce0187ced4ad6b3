import datetime as dt

import pytest

from shared.domain.errors import UserError
from shared.runtime.clock import SystemClock
from shared.runtime.config.environment import read_environment
from shared.runtime.recorded_time import (
    NAME,
    Stretch,
    StretchedClock,
    clock_of,
    is_recorded,
)

MORNING = dt.datetime(2024, 3, 5, 14, 34, 55, tzinfo=dt.UTC)
CLOSING = dt.datetime(2024, 3, 5, 20, 54, 58, tzinfo=dt.UTC)
HERE = {"KOBE_BROKER_URL": "http://127.0.0.1:1", "KOBE_BROKER_DATA_URL": "http://recorded:1"}


def clock(begun_ago: float) -> StretchedClock:
    begun = SystemClock().now() - dt.timedelta(seconds=begun_ago)
    return StretchedClock(begun, (Stretch(MORNING, 30.0), Stretch(CLOSING, 20.0)))


@pytest.mark.parametrize(
    ("ago", "instant"),
    [
        (10, MORNING + dt.timedelta(seconds=10)),
        (35, CLOSING + dt.timedelta(seconds=5)),
        (500, CLOSING + dt.timedelta(seconds=470)),
    ],
)
def test_time_runs_through_the_stretches_and_goes_on_after_the_last(
    ago: float, instant: dt.datetime
) -> None:
    assert abs((clock(ago).now() - instant).total_seconds()) < 2


def test_it_is_the_same_clock_in_every_process_that_reads_its_text() -> None:
    original = clock(3)
    assert StretchedClock.parse(original.text()) == original


@pytest.mark.parametrize(
    "text", ["now", "2024-01-05|2024-01-05+5s", "2024-01-05T00:00:00+00:00|x+5s"]
)
def test_what_is_no_clock_is_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match="KOBE_TEST_CLOCK is not"):
        StretchedClock.parse(text)


@pytest.mark.parametrize(
    "environ",
    [
        {"KOBE_MODE": "paper", **HERE},
        {"KOBE_MODE": "live", "KOBE_TEST": "1", **HERE},
        {"KOBE_MODE": "paper", "KOBE_TEST": "1"},
        {
            "KOBE_MODE": "paper",
            "KOBE_TEST": "1",
            **HERE,
            "KOBE_BROKER_DATA_URL": "https://data.alpaca.markets",
        },
    ],
)
def test_a_test_s_clock_is_refused_in_live_without_test_or_with_a_real_host(
    environ: dict[str, str],
) -> None:
    with pytest.raises(UserError, match="for tests with a recorded broker alone"):
        clock_of(read_environment({**environ, NAME: clock(0).text()}))


def test_without_it_time_is_the_system_s_and_with_a_recorded_broker_it_is_the_test_s() -> None:
    assert isinstance(clock_of(read_environment({"KOBE_MODE": "paper"})), SystemClock)
    environ = {"KOBE_MODE": "paper", "KOBE_TEST": "1", **HERE, NAME: clock(0).text()}
    assert isinstance(clock_of(read_environment(environ)), StretchedClock)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://127.0.0.1:80", True),
        ("http://[::1]:80", True),
        ("http://localhost:80", True),
        ("http://recorded-alpaca:8000", True),
        ("https://paper-api.alpaca.markets", False),
        ("http://10.0.0.5:80", False),
        ("http://127.0.0.1.evil.example", False),
        ("", False),
    ],
)
def test_only_this_machine_and_bare_names_are_our_own(url: str, own: bool) -> None:
    assert is_recorded(url) is own
