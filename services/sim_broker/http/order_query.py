"""Which orders GET /v2/orders lists, and in what order. Called by the trading routes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from starlette.requests import Request

from services.sim_broker.exchange.account_book import Book
from services.sim_broker.exchange.order import Order
from services.sim_broker.http.responses import flag, moment, names

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
STATUSES = ("open", "closed", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The query; `after` and `until` exclude the instant itself."""

    status: str
    limit: int
    after: dt.datetime | None
    until: dt.datetime | None
    ascending: bool
    nested: bool
    symbols: frozenset[str]
    side: str


def wanted(request: Request) -> Wanted | str:
    """The query understood, or a sentence on what is wrong with it."""
    query = request.query_params
    status, limit = query.get("status", "open"), query.get("limit", str(DEFAULT_LIMIT))
    if status not in STATUSES:
        return f"invalid order status: {status}"
    if not limit.isdigit() or not 1 <= int(limit) <= MAX_LIMIT:
        return f"limit must be between 1 and {MAX_LIMIT}"
    try:
        after, until = (
            moment(query[name]) if query.get(name) else None for name in ("after", "until")
        )
    except ValueError:
        return "invalid date or time in after or until"
    return Wanted(
        status=status,
        limit=int(limit),
        after=after,
        until=until,
        ascending=query.get("direction", "desc") == "asc",
        nested=flag(request, "nested"),
        symbols=frozenset(names(request, "symbols")),
        side=query.get("side", ""),
    )


def listed(book: Book, want: Wanted) -> list[Order]:
    """Nested, an OCO's leg is told of inside its order only."""
    newest_first = (order for order in _until_too_old(book, want) if _fits(order, want))
    if not want.ascending:
        return list(islice(newest_first, want.limit))
    return list(reversed(list(newest_first)))[: want.limit]


def _until_too_old(book: Book, want: Wanted) -> Iterator[Order]:
    """Orders are kept in the order of their submission, so the rest need not be looked at."""
    for order in _newest_first(book, want):
        if want.after and order.submitted_at <= want.after:
            return
        yield order


def _newest_first(book: Book, want: Wanted) -> Iterable[Order]:
    if want.status == "open":
        return reversed(list(book.all_open()))
    return reversed(book.orders.values())


def _fits(order: Order, want: Wanted) -> bool:
    return (
        (want.status == "all" or order.is_open == (want.status == "open"))
        and (want.until is None or order.submitted_at < want.until)
        and not (want.nested and order.parent_id)
        and (not want.symbols or order.symbol in want.symbols)
        and want.side in ("", order.side)
    )
