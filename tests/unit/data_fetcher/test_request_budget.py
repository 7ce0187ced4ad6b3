import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from hypothesis import given, strategies as st

from services.data_fetcher.vendor_http.request_budget import (
    LocalBudget,
    Rate,
    RedisBudget,
    RequestBudget,
    Unlimited,
    take,
)
from shared.domain.errors import TransientError
from shared.runtime.bus.redis_connection import Address, RedisConnection
from shared.runtime.clock import ManualClock
from tests.servers import Server, redis_server

NOW = dt.datetime(2024, 1, 5, tzinfo=dt.UTC)
PATIENT = 1e9


@given(
    per_minute=st.integers(1, 400),
    gaps=st.lists(st.floats(0, 20, allow_nan=False), min_size=1, max_size=300),
)
def test_in_no_minute_are_there_more_requests_than_the_plan_allows(
    per_minute: int, gaps: list[float]
) -> None:
    rate, full_at, now = Rate(per_minute), 0.0, 1000.0
    left: list[float] = []
    for gap in gaps:
        now += gap
        wait, taken = take(rate, full_at, now, PATIENT)
        assert taken is not None
        full_at = taken
        left.append(now + wait)
    left.sort()
    for first, beyond in zip(left, left[per_minute:], strict=False):
        assert beyond - first >= 60 - 1e-6


def test_five_a_minute_leave_twelve_seconds_apart() -> None:
    budget = LocalBudget(Rate(5), ManualClock(NOW))
    assert [round(budget.take(PATIENT)) for _ in range(4)] == [0, 12, 24, 36]


def test_a_wait_beyond_our_patience_takes_nothing() -> None:
    budget = LocalBudget(Rate(5), ManualClock(NOW))
    budget.take(PATIENT)
    for _ in range(3):
        with pytest.raises(TransientError, match="used up for 12 s") as raised:
            budget.take(5.0)
        assert raised.value.retry_after == pytest.approx(12)


def test_after_the_vendor_says_too_many_nothing_leaves_until_its_reset() -> None:
    clock = ManualClock(NOW)
    budget = LocalBudget(Rate(200), clock)
    budget.close(30)
    assert budget.take(PATIENT) == pytest.approx(30)
    clock.advance(60)
    assert budget.take(PATIENT) == 0


def test_no_limit_never_waits() -> None:
    budget = Unlimited()
    budget.close(30)
    assert budget.take(0.0) == 0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with redis_server() as running:
        yield running


@pytest.fixture
def process(server: Server) -> Iterator[Callable[..., RequestBudget]]:
    """Makes budgets as different processes would: each with a connection of its own."""
    opened: list[RedisConnection] = []

    def make(rate: Rate, vendor: str, key: str) -> RequestBudget:
        opened.append(RedisConnection(Address.parse(server.url)))
        return RedisBudget(rate, opened[-1], vendor, key)

    yield make
    for connection in opened:
        connection.close()


def test_processes_with_one_key_share_one_bucket(process: Callable[..., RequestBudget]) -> None:
    one, other = (process(Rate(5), "massive", "same") for _ in range(2))
    assert one.take(PATIENT) == 0
    assert 11 < other.take(PATIENT) <= 12
    assert 23 < one.take(PATIENT) <= 24


def test_another_key_or_vendor_has_a_bucket_of_its_own(
    process: Callable[..., RequestBudget],
) -> None:
    process(Rate(5), "massive", "mine").take(PATIENT)
    assert process(Rate(5), "massive", "yours").take(PATIENT) == 0
    assert process(Rate(5), "alpaca", "mine").take(PATIENT) == 0


def test_one_process_closes_the_bucket_for_all(process: Callable[..., RequestBudget]) -> None:
    one, other = (process(Rate(200), "alpaca", "shared") for _ in range(2))
    one.close(25)
    assert 24 < other.take(PATIENT) <= 25
    with pytest.raises(TransientError):
        other.take(1.0)


def test_no_key_of_a_vendor_stands_in_redis(
    server: Server, process: Callable[..., RequestBudget]
) -> None:
    process(Rate(5), "massive", "very-secret").take(PATIENT)
    with closing(RedisConnection(Address.parse(server.url))) as admin:
        keys = admin.one("KEYS", "*")
        assert keys
        assert not [key for key in keys if "very-secret" in key]
        assert all(admin.one("PTTL", key) > 0 for key in keys)
