"""Massive's answers as typed values: what must be in each, and what makes one incomplete.

Read by vendors/massive.py. A missing key, a count that does not agree or a status that is not OK is
an incomplete answer, never an empty one.
"""

import math
from typing import Any, Generic, TypeVar

import msgspec

from services.data_fetcher.bar_columns import number, read_rows
from services.data_fetcher.vendor_http.client import Unreadable
from shared.schemas.json_types import JsonObject

GOOD = ("OK", "DELAYED")
"""Statuses of a whole answer; delayed plans say the latter."""


class AggregateRow(msgspec.Struct):
    """One symbol's bar; `t` is the window's start in ms."""

    t: int
    o: float = math.nan
    h: float = math.nan
    l: float = math.nan  # noqa: E741 (the wire's name)
    c: float = math.nan
    v: float = math.nan


class GroupedRow(AggregateRow):
    T: str = ""
    """The ticker, case included: KIMpL is a preferred share."""


class SplitNotice(msgspec.Struct):
    ticker: str
    execution_date: str
    split_from: float
    split_to: float


class DividendRow(msgspec.Struct):
    ticker: str
    ex_dividend_date: str
    cash_amount: float
    currency: str = "USD"


class TickerRow(msgspec.Struct):
    ticker: str
    name: str = ""
    primary_exchange: str = ""
    composite_figi: str = ""
    active: bool = True
    type: str = ""
    delisted_utc: str = ""


class Contract(msgspec.Struct):
    ticker: str
    underlying_ticker: str = ""


class TickerName(msgspec.Struct):
    ticker: str


class Event(msgspec.Struct):
    date: str
    ticker_change: TickerName | None = None


class Events(msgspec.Struct):
    events: list[Event]


class _Answer(msgspec.Struct):
    """What every answer may have around its results."""

    status: str = ""
    results: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET
    resultsCount: int | None = None  # noqa: N815 (the wire's name)
    adjusted: bool | None = None
    ticker: str = ""
    next_url: str = ""


class _OneAnswer(msgspec.Struct):
    status: str = ""
    results: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


RowT = TypeVar("RowT", bound=msgspec.Struct)


class Page(msgspec.Struct, Generic[RowT], frozen=True):
    """One page of rows; `next_url` is "" on the last."""

    rows: list[RowT]
    next_url: str
    adjusted: bool | None
    ticker: str


def read_bars(body: bytes, kind: type[RowT]) -> Page[RowT]:
    """A page of aggregates, where no results are only believed with a count of 0."""
    answer = _decode(body, _Answer)
    if answer.results is msgspec.UNSET:
        if answer.resultsCount != 0:
            raise Unreadable("it has no results, yet does not count 0 of them")
        answer.results = []
    if answer.resultsCount not in (None, len(answer.results)):
        raise Unreadable(f"it counts {answer.resultsCount} results and has {len(answer.results)}")
    return _page(answer, answer.results, kind)


def read_list(body: bytes, kind: type[RowT]) -> Page[RowT]:
    """A page of reference data, which must have its results, be they none."""
    answer = _decode(body, _Answer)
    if answer.results is msgspec.UNSET:
        raise Unreadable("it has no results")
    return _page(answer, answer.results, kind)


def read_one(body: bytes, kind: type[RowT]) -> RowT:
    answer = _decode(body, _OneAnswer)
    if answer.results is msgspec.UNSET:
        raise Unreadable("it has no results")
    try:
        return msgspec.json.decode(answer.results, type=kind)
    except msgspec.MsgspecError as error:
        raise Unreadable(str(error)) from error


def _page(answer: _Answer, raw: list[msgspec.Raw], kind: type[RowT]) -> Page[RowT]:
    def salvage(row: Any) -> RowT | None:
        return _salvage(row, kind)

    rows = read_rows(raw, kind, salvage)
    return Page(rows, answer.next_url, answer.adjusted, answer.ticker)


def _salvage(row: Any, kind: type[RowT]) -> RowT | None:
    """A bar with NaN for what is no number.

    None for what has no date, and for a row of any other kind.
    """
    if (
        not issubclass(kind, AggregateRow)
        or not isinstance(row, dict)
        or not isinstance(row.get("t"), int)
    ):
        return None
    fields: JsonObject = {name: number(row.get(name)) for name in ("o", "h", "l", "c", "v")}
    if issubclass(kind, GroupedRow):
        fields["T"] = str(row.get("T", ""))
    return kind(t=row["t"], **fields)


AnswerT = TypeVar("AnswerT", _Answer, _OneAnswer)


def _decode(body: bytes, kind: type[AnswerT]) -> AnswerT:
    try:
        answer = msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise Unreadable(str(error)) from error
    if answer.status not in GOOD:
        raise Unreadable(f"its status is {answer.status or 'missing'}")
    return answer
