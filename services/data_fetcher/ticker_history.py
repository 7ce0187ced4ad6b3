"""Under which tickers a company has traded, and when.

A ticker may have been another company's before.

Used by vendors whose bars belong to tickers. META was an exchange-traded fund until Meta took the
ticker from it; GEN was a nursing-home chain's.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """Both dates included."""

    ticker: str
    first: dt.date
    last: dt.date


def owner_spans(
    symbol: str, names: Sequence[tuple[dt.date, str]], start: dt.date, end: dt.date
) -> list[Span]:
    """The tickers of one company from `start` through `end`, oldest first.

    `names` are (from, ticker), oldest first, of the company that has `symbol` now; the first name
    reaches back as far as asked. Without names the ticker has always been its own.
    """
    known = [(dt.date.min, names[0][1]), *names[1:]] if names else [(dt.date.min, symbol)]
    ends = [date - ONE_DAY for date, _ in known[1:]] + [dt.date.max]
    spans = [
        Span(ticker, max(first, start), min(last, end))
        for (first, ticker), last in zip(known, ends, strict=True)
    ]
    return [span for span in spans if span.first <= span.last]
