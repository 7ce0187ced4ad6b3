import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from services.data_fetcher.actions_check import ActionsCheck
from services.data_fetcher.archive_updater import ArchiveUpdater, Universe
from services.data_fetcher.handlers import HANDLERS, State
from services.data_fetcher.vendor_registry import QuotesVendor, actions_vendor, bars_vendor
from services.data_fetcher.vendors import alpaca as alpaca_vendor
from services.data_fetcher.work import DataFetcherWork
from shared.domain.errors import TransientError
from shared.domain.market.sessions import sessions_between
from shared.runtime.clock import ManualClock
from shared.schemas.corporate_actions import Ended, Removal, Rename, Split
from shared.schemas.messages import AccountSeen, BarsDue, BarsReady, CorporateActionsSeen
from shared.schemas.values import Holding, Stage
from tests.recorded.alpaca import Alpaca, place_at
from tests.recorded.faults import Fault, Kind, Recorder
from tests.recorded.market import RecordedMarket, walks
from tests.recorded.server import serving
from tests.turning import Turning

FRIDAY, MONDAY = dt.date(2020, 8, 28), dt.date(2020, 8, 31)
SPLIT = Split(symbol="AAPL", ex_date=MONDAY, new=Decimal("4.0"), old=Decimal("1.0"))
LATER = Split(symbol="IBM", ex_date=dt.date(2020, 9, 1), new=Decimal(2), old=Decimal(1))
RENAME = Rename(old="FB", new="META", date=MONDAY)
REMOVED = Removal(symbol="OLD", date=MONDAY, why=Ended.MERGED)
MARKET = RecordedMarket(
    walks(("AAPL", "IBM"), sessions_between(dt.date(2020, 1, 2), FRIDAY).tolist(), seed=4),
    splits=(SPLIT, LATER),
    renames=(RENAME,),
    removals=(REMOVED,),
)
NOW = dt.datetime(2020, 8, 31, 13, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Subject:
    turning: Turning
    server: Recorder


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[Subject]:
    clock = ManualClock(NOW)
    with ExitStack() as stack:
        server = Alpaca(MARKET, clock.now).app()
        place = place_at(stack.enter_context(serving(server)), clock)
        actions = actions_vendor("alpaca", place)
        assert actions is not None
        quotes: QuotesVendor = alpaca_vendor.quotes(place)
        keeper = ArchiveUpdater(
            tmp_path / "archive",
            "alpaca",
            bars_vendor("alpaca", place),
            Universe(symbols=("AAPL", "IBM"), history_years=1),
            actions=actions,
        )
        work = DataFetcherWork(
            keeper,
            quotes,
            clock,
            lambda after, through: sessions_between(after, through).tolist()[1:],
            ActionsCheck("alpaca", actions),
        )
        yield Subject(Turning(HANDLERS, State(), work), server)


def account(*symbols: str) -> AccountSeen:
    price = Decimal(10)
    return AccountSeen(
        session=FRIDAY,
        stage=Stage.MARK,
        account_number="PA1",
        cash=price,
        equity=price,
        buying_power=price,
        blocked=False,
        open_orders=0,
        holdings=tuple(
            Holding(symbol=each, qty=Decimal(1), average_price=price) for each in symbols
        ),
        drift=(),
    )


def test_before_the_open_what_happens_to_the_universe_and_to_what_is_held_is_said(
    subject: Subject,
) -> None:
    subject.turning.hear(account("FB", "OLD"))
    subject.turning.hear(BarsDue(through=FRIDAY))
    (ready,) = subject.turning.act() or []
    assert isinstance(ready, BarsReady)
    (seen,) = subject.turning.act() or []
    assert seen == CorporateActionsSeen(
        session=MONDAY,
        since=dt.date(2020, 8, 21),
        vendor="alpaca",
        symbols=4,
        splits=(SPLIT,),
        renames=(RENAME,),
        removals=(REMOVED,),
    )
    assert subject.turning.act() is None


def test_nothing_found_is_said_too(subject: Subject) -> None:
    subject.turning.hear(BarsDue(through=dt.date(2020, 8, 3)))
    subject.turning.act()
    (seen,) = subject.turning.act() or []
    assert isinstance(seen, CorporateActionsSeen)
    assert (seen.splits, seen.renames, seen.removals) == ((), (), ())


def test_a_vendor_that_refuses_is_asked_again_and_the_service_says_why(subject: Subject) -> None:
    body = b'{"message":"no such key"}'
    subject.turning.hear(BarsDue(through=FRIDAY))
    subject.turning.act()
    refused = Fault(Kind.STATUS, path="/v1/corporate-actions", status=401, body=body)
    subject.server.add(refused)
    with pytest.raises(TransientError, match=r"refuses the key, HTTP 401") as raised:
        subject.turning.act()
    assert raised.value.retry_after == 60
    (seen,) = subject.turning.act() or []
    assert isinstance(seen, CorporateActionsSeen)
