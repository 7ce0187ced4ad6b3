import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from services.data_fetcher.archive_updater import ArchiveUpdater, Universe
from services.data_fetcher.handlers import HANDLERS, State, counts
from services.data_fetcher.vendor_registry import VendorPlace, bars_vendor
from services.data_fetcher.work import DataFetcherWork
from shared.domain.errors import TransientError
from shared.runtime.clock import ManualClock
from shared.schemas.messages import QuotesSeen, ScanCompleted
from shared.schemas.values import Direction, Exit, Purpose, Quote, Signal
from tests.builders import NOON, SESSION, scan_ref
from tests.turning import Turning


class FakeQuotes:
    def __init__(self, known: Sequence[str]) -> None:
        self.known, self.asked, self.away = set(known), cast(list[list[str]], []), False

    def latest_quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        self.asked.append(list(symbols))
        if self.away:
            raise TransientError("the quotes vendor does not answer")
        cent = Decimal("0.01")
        return {
            each: Quote(symbol=each, bid=cent, ask=2 * cent, at=NOON)
            for each in symbols
            if each in self.known
        }


def archive_updater() -> ArchiveUpdater:
    """Of an archive that is not there: quotes need none."""
    return ArchiveUpdater(
        Path("nowhere"), "sample", bars_vendor("sample", VendorPlace()), Universe()
    )


def fetcher(known: Sequence[str] = ()) -> tuple[Turning, FakeQuotes, ManualClock]:
    quotes, clock = FakeQuotes(known), ManualClock(NOON)
    work = DataFetcherWork(archive_updater(), quotes, clock, lambda *_: [])
    return Turning(HANDLERS, State(), work, clock=clock), quotes, clock


def an_exit(symbol: str) -> Exit:
    return Exit(
        symbol=symbol,
        strategy="s",
        direction=Direction.LONG,
        purpose=Purpose.TIME_EXIT,
        entry_session=SESSION,
        bars_held=5,
    )


def a_signal(symbol: str) -> Signal:
    return Signal(
        session=SESSION,
        symbol=symbol,
        strategy="s",
        direction=Direction.LONG,
        reference_price=Decimal(1),
        stop=Decimal(1),
        target=None,
        time_stop_bars=1,
        score=Decimal(1),
        reason="",
    )


def completed(exits: Sequence[str], signals: Sequence[str], **changes: Any) -> ScanCompleted:
    values: dict[str, Any] = {
        "scan": scan_ref(),
        "part": 1,
        "parts": 1,
        "exits": tuple(map(an_exit, exits)),
        "signals": tuple(map(a_signal, signals)),
        "bars_digest": "d",
    }
    return ScanCompleted(**{**values, **changes})


def seen(turning: Turning) -> list[QuotesSeen]:
    return [each for each in turning.act_all() if isinstance(each, QuotesSeen)]


def test_every_symbol_a_scan_names_is_quoted_or_said_to_be_unquoted_and_asked_for_once() -> None:
    turning, quotes, _ = fetcher(["A", "B"])
    turning.hear(completed(["B", "C"], ["A", "B", "D"]))
    (said,) = seen(turning)
    assert quotes.asked == [["B", "C", "A", "D"]]
    assert [each.symbol for each in said.quotes] == ["B", "A"]
    assert said.unquoted == ("C", "D")
    assert said.scan == scan_ref()
    assert turning.act() is None


def test_a_scan_of_nothing_goes_on_without_asking() -> None:
    turning, quotes, _ = fetcher()
    turning.hear(completed([], []))
    (said,) = seen(turning)
    assert (said.quotes, said.unquoted, said.part, said.parts) == ((), (), 1, 1)
    assert quotes.asked == []


def test_a_scan_in_parts_is_asked_for_when_the_last_part_is_there() -> None:
    turning, quotes, _ = fetcher(["A"])
    turning.hear(completed(["A"], [], part=1, parts=2))
    assert turning.act() is None
    turning.hear(completed(["A"], [], part=1, parts=2))
    assert turning.act() is None
    turning.hear(completed([], ["B"], part=2, parts=2))
    seen(turning)
    assert quotes.asked == [["A", "B"]]


def test_a_large_scan_is_answered_in_parts_that_hold_every_symbol_once() -> None:
    symbols = [f"S{number}" for number in range(900)]
    turning, _, _ = fetcher(symbols[:850])
    turning.hear(completed([], symbols))
    said = seen(turning)
    assert [(each.part, each.parts, len(each.quotes) + len(each.unquoted)) for each in said] == [
        (1, 3, 400),
        (2, 3, 400),
        (3, 3, 100),
    ]
    assert [quote.symbol for each in said for quote in each.quotes] == symbols[:850]
    assert [symbol for each in said for symbol in each.unquoted] == symbols[850:]


def test_a_vendor_that_is_away_is_asked_again_for_a_minute_then_all_are_unquoted() -> None:
    turning, quotes, clock = fetcher(["A"])
    quotes.away = True
    turning.hear(completed([], ["A"]))
    for _ in range(2):
        with pytest.raises(TransientError):
            turning.act()
        clock.advance(29)
    clock.advance(5)
    (said,) = seen(turning)
    assert (said.quotes, said.unquoted) == ((), ("A",))


def test_a_vendor_that_comes_back_is_heard() -> None:
    turning, quotes, _ = fetcher(["A"])
    quotes.away = True
    turning.hear(completed([], ["A"]))
    with pytest.raises(TransientError):
        turning.act()
    quotes.away = False
    assert seen(turning)[0].unquoted == ()


def test_unquoted_symbols_are_counted() -> None:
    said = QuotesSeen(scan=scan_ref(), part=1, parts=1, quotes=(), unquoted=("A", "B"))
    assert ("kobe_quotes_unquoted", 2.0) in [(each.name, each.value) for each in counts(said)]


def test_two_scans_are_answered_in_turn() -> None:
    turning, _, _ = fetcher(["A"])
    later = dt.datetime(2024, 1, 5, 15, 30, tzinfo=dt.UTC)
    for scan in (scan_ref(), scan_ref(id="SCAN_20240105_153000", slot_at=later)):
        turning.hear(completed([], ["A"], scan=scan))
    assert [each.scan.id for each in seen(turning)] == [
        "SCAN_20240105_143500",
        "SCAN_20240105_153000",
    ]
