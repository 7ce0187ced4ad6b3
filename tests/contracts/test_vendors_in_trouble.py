"""What every vendor on a network must do when it is refused, throttled.

Cut off or told nonsense.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.data_fetcher.vendor_http.client import Patience
from services.data_fetcher.vendor_registry import BarsVendor, bars_vendor
from shared.domain.errors import TransientError, UserError
from shared.domain.market.bars import FIELDS, Bars
from shared.domain.market.sessions import sessions_between
from shared.runtime.clock import ManualClock
from tests.recorded.faults import Fault, Kind, Recorder
from tests.recorded.market import RecordedMarket, walks
from tests.recorded.vendor import RecordedVendor, on_a_network, recorded_vendor

FIRST, LAST = dt.date(2010, 1, 4), dt.date(2010, 3, 31)
MARKET = RecordedMarket(walks(("IBM",), sessions_between(FIRST, LAST).tolist(), seed=3))
NOW = dt.datetime(2011, 1, 3, 15, tzinfo=dt.UTC)
FOR_EVER = 1000
FAST = Patience(connect=1.0, read=0.4, exchange=0.6, total=240.0, tries=3)


@dataclass(frozen=True)
class Subject:
    vendor: BarsVendor
    recorded: RecordedVendor
    server: Recorder
    clock: ManualClock

    def fails(self, kind: Kind, **options: Any) -> None:
        """Each request for bars meets this fault."""
        options = {"times": FOR_EVER, "path": self.recorded.bars_path, **options}
        self.server.add(Fault(kind, **options))

    def bars(self) -> Bars:
        return self.vendor.daily_bars(("IBM",), FIRST, LAST)


@pytest.fixture(params=on_a_network())
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    clock = ManualClock(NOW)
    with ExitStack() as stack:
        found = recorded_vendor(request.param, MARKET, stack, tmp_path, clock)
        assert found.server is not None
        place = replace(found.place, patience=FAST)
        yield Subject(bars_vendor(request.param, place), found, found.server, clock)


def assert_whole(bars: Bars) -> None:
    for name in ("session", *FIELDS):
        assert np.array_equal(getattr(bars, name), getattr(MARKET.bars, name)), name


@pytest.mark.parametrize(
    ("fault", "sentence", "code"),
    [
        (
            {"status": 401, "body": b'{"message":"no such key"}'},
            r"refuses the key, HTTP 401 \(no such key\)",
            2,
        ),
        (
            {"status": 403, "body": b'{"message":"upgrade"}'},
            r"HTTP 403 \(upgrade\).* its plan does not include it; ask for less",
            4,
        ),
        ({"status": 302, "headers": {"location": "http://elsewhere/"}}, "is not followed", 4),
        (
            {"status": 418, "body": b"<html><body>teapot</body></html>"},
            r"refuses the request for bars.*HTTP 418\.",
            4,
        ),
    ],
)
def test_every_refusal_is_one_sentence_of_its_own_and_not_repeated(
    subject: Subject, fault: dict[str, Any], sentence: str, code: int
) -> None:
    subject.fails(Kind.STATUS, **fault)
    with pytest.raises(UserError, match=sentence) as raised:
        subject.bars()
    assert raised.value.exit_code == code
    assert str(raised.value).count("\n") == 0
    assert len(subject.server.asked(subject.recorded.bars_path)) == 1


def test_too_many_requests_are_waited_out_as_long_as_the_vendor_says(subject: Subject) -> None:
    subject.fails(Kind.STATUS, status=429, headers={"Retry-After": "37"}, times=2)
    assert_whole(subject.bars())
    assert 74 <= subject.clock.monotonic() < 76


def test_a_reset_in_unix_time_is_waited_for(subject: Subject) -> None:
    reset = int(NOW.timestamp()) + 20
    headers = {"X-RateLimit-Reset": str(reset), "X-RateLimit-Remaining": "0"}
    subject.fails(Kind.STATUS, status=429, headers=headers, times=1)
    assert_whole(subject.bars())
    assert 21 <= subject.clock.monotonic() < 22


def test_a_pause_longer_than_our_patience_is_said_and_not_slept(subject: Subject) -> None:
    subject.fails(Kind.STATUS, status=429, headers={"Retry-After": "7200"})
    with pytest.raises(TransientError, match="takes no more requests for now, HTTP 429") as raised:
        subject.bars()
    assert raised.value.retry_after == 7200
    assert subject.clock.monotonic() < 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_trouble_that_passes_is_outlasted_and_trouble_that_stays_is_said(
    subject: Subject, status: int
) -> None:
    subject.fails(Kind.STATUS, status=status, times=2)
    assert_whole(subject.bars())
    subject.fails(Kind.STATUS, status=status)
    with pytest.raises(TransientError, match=f"has trouble, HTTP {status}"):
        subject.bars()


@pytest.mark.parametrize("kind", [Kind.CUT_JSON, Kind.CUT])
def test_half_an_answer_is_no_answer(subject: Subject, kind: Kind) -> None:
    subject.fails(kind, times=2)
    assert_whole(subject.bars())
    subject.fails(kind)
    with pytest.raises(TransientError, match=r"is not whole|does not answer"):
        subject.bars()


@pytest.mark.parametrize("document", [{}, [], None, "OK", {"status": "OK"}, {"bars": None}])
def test_an_answer_without_its_bars_is_never_taken_for_no_bars(
    subject: Subject, document: Any
) -> None:
    subject.fails(Kind.EDIT, edit=lambda _: document)
    with pytest.raises(TransientError, match="is not whole"):
        subject.bars()


def test_a_trickle_ends_with_the_deadline(subject: Subject) -> None:
    subject.fails(Kind.TRICKLE, seconds=0.05)
    begun = time.monotonic()
    with pytest.raises(TransientError, match="no whole answer in time"):
        subject.bars()
    assert time.monotonic() - begun < 3 * FAST.exchange + 2


def test_silence_ends_with_the_read_timeout(subject: Subject) -> None:
    subject.fails(Kind.LATE, seconds=1.0)
    with pytest.raises(TransientError, match="no whole answer in time"):
        subject.bars()


def test_a_bad_row_costs_that_row_alone(subject: Subject) -> None:
    subject.fails(Kind.EDIT, edit=lambda document: subject.recorded.spoil(document, 3))
    bars = subject.bars()
    assert bars.row.size == MARKET.bars.row.size
    assert math.isnan(bars.open[3])
    others = np.arange(bars.row.size) != 3
    assert np.array_equal(bars.open[others], MARKET.bars.open[others])
    assert np.array_equal(bars.close, MARKET.bars.close)


def test_a_row_that_is_not_even_dated_costs_itself(subject: Subject) -> None:
    subject.fails(Kind.EDIT, edit=lambda document: subject.recorded.undate(document, 3))
    assert subject.bars().row.size == MARKET.bars.row.size - 1


def test_the_key_travels_in_headers_alone(subject: Subject) -> None:
    subject.bars()
    for seen in subject.server.requests:
        for secret in subject.recorded.secrets:
            assert secret not in seen.path
            assert secret not in seen.query


def test_a_vendor_that_is_away_is_said_after_some_tries(tmp_path: Path) -> None:
    for name in on_a_network():
        with ExitStack() as stack:
            clock = ManualClock(NOW)
            place = recorded_vendor(name, MARKET, stack, tmp_path, clock).place
        away = "http://127.0.0.1:9"
        gone = replace(
            place, data_url=away, trading_url=away, urls=dict.fromkeys(on_a_network(), away)
        )
        with pytest.raises(TransientError, match=r"does not answer: .*refused"):
            bars_vendor(name, gone).daily_bars(("IBM",), FIRST, LAST)
