import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from services.data_fetcher.vendor_registry import VendorPlace, bars_vendor, listings_vendor
from services.data_fetcher.vendors import multi
from shared.domain.errors import TransientError, UserError
from shared.domain.market.bars import Bars
from shared.domain.market.sessions import sessions_between
from shared.runtime.clock import ManualClock
from shared.runtime.config.environment import Secret
from tests.recorded import alpaca, massive
from tests.recorded.faults import Fault, Kind, Recorder
from tests.recorded.market import RecordedMarket, walks

pytestmark = pytest.mark.slow

FIRST, LAST = dt.date(2020, 1, 2), dt.date(2020, 3, 31)
SESSIONS = sessions_between(FIRST, LAST).tolist()
MASSIVES, ALPACAS = (RecordedMarket(walks(("AAPL", "IBM"), SESSIONS, seed=s)) for s in (1, 2))
FOR_EVER = 1000


@dataclass(frozen=True)
class Subject:
    place: VendorPlace
    massive: Recorder
    alpaca: Recorder

    def bars(self) -> Bars:
        return bars_vendor("multi", self.place).daily_bars(("AAPL", "IBM"), FIRST, LAST)


@pytest.fixture
def subject() -> Iterator[Subject]:
    clock = ManualClock(dt.datetime(2020, 4, 1, 15, tzinfo=dt.UTC))
    with ExitStack() as stack:
        first = massive.recorded(MASSIVES, stack, Path(), clock)
        second = alpaca.recorded(ALPACAS, stack, Path(), clock)
        place = replace(
            second.place,
            urls=first.place.urls,
            massive_key=first.place.massive_key,
            order=("massive", "alpaca"),
        )
        assert first.server is not None
        assert second.server is not None
        yield Subject(place, first.server, second.server)


def test_the_first_that_answers_is_the_only_one_asked(subject: Subject) -> None:
    assert np.array_equal(subject.bars().close, MASSIVES.bars.close)
    assert subject.alpaca.requests == []


@pytest.mark.parametrize("status", [401, 403, 503])
def test_the_next_answers_where_the_first_cannot(subject: Subject, status: int) -> None:
    subject.massive.add(Fault(Kind.STATUS, status=status, times=FOR_EVER))
    assert np.array_equal(subject.bars().close, ALPACAS.bars.close)


def test_an_answer_is_one_vendor_s_whole_never_two_halves(subject: Subject) -> None:
    """The first breaks down after its first symbol: the second gives both."""
    subject.massive.add(Fault(Kind.STATUS, path="/v2/aggs/ticker/IBM", times=FOR_EVER))
    assert np.array_equal(subject.bars().close, ALPACAS.bars.close)


def test_a_question_that_is_wrong_is_not_passed_on(subject: Subject) -> None:
    lie = Fault(Kind.EDIT, path="/v2/aggs", times=FOR_EVER, edit=lambda d: {**d, "adjusted": True})
    subject.massive.add(lie)
    with pytest.raises(UserError, match="two bases must never mix"):
        subject.bars()
    assert subject.alpaca.requests == []


def test_when_all_fail_the_first_one_s_reason_is_said(subject: Subject) -> None:
    for server in (subject.massive, subject.alpaca):
        server.add(Fault(Kind.STATUS, times=FOR_EVER))
    with pytest.raises(TransientError, match="Massive has trouble, HTTP 503"):
        subject.bars()


def test_one_whose_key_is_missing_is_passed_over(subject: Subject) -> None:
    without = replace(subject.place, massive_key=Secret(""))
    bars = bars_vendor("multi", without).daily_bars(("AAPL",), FIRST, LAST)
    assert np.array_equal(bars.close, ALPACAS.between("AAPL", FIRST, LAST)["close"])
    assert listings_vendor("multi", without).listings(LAST)


def test_without_any_key_each_is_named(subject: Subject) -> None:
    with pytest.raises(UserError, match=r"MASSIVE_API_KEY.*ALPACA_API_KEY_ID") as raised:
        bars_vendor("multi", VendorPlace(order=("massive", "alpaca")))
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ((), "names none"),
        (("multi",), "names 'multi' itself"),
        (("masive",), "did you mean 'massive'"),
        (("alpaca", "yahoo"), "alpaca is unadjusted, yahoo is split-adjusted"),
    ],
)
def test_an_order_that_makes_no_sense_is_said(
    subject: Subject, order: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as raised:
        multi.bars(replace(subject.place, order=order))
    assert raised.value.exit_code == 3
