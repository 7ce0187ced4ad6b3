"""The query of GET /v2/orders: parsing and selection. Called by the trading routes."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from starlette.requests import Request

from services.sim_broker.exchange.account_book import AccountBook
from services.sim_broker.exchange.order import BrokerOrder
from services.sim_broker.http import responses

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
STATUSES = ("open", "closed", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderQuery:
    """The parsed query; `after` and `until` exclude the instant itself."""

    status: str
    limit: int
    after: dt.datetime | None
    until: dt.datetime | None
    ascending: bool
    nested: bool
    symbols: frozenset[str]
    side: str


def parse_query(request: Request) -> OrderQuery | str:
    """Parse the query; a str is a sentence on what is wrong with it."""
    query = request.query_params
    status, limit = query.get("status", "open"), query.get("limit", str(DEFAULT_LIMIT))
    if status not in STATUSES:
        return f"invalid order status: {status}"
    if not limit.isdigit() or not 1 <= int(limit) <= MAX_LIMIT:
        return f"limit must be between 1 and {MAX_LIMIT}"
    try:
        after, until = (
            responses.parse_instant(query[name]) if query.get(name) else None
            for name in ("after", "until")
        )
    except ValueError:
        return "invalid date or time in after or until"
    return OrderQuery(
        status=status,
        limit=int(limit),
        after=after,
        until=until,
        ascending=query.get("direction", "desc") == "asc",
        nested=responses.query_flag(request, "nested"),
        symbols=frozenset(responses.query_names(request, "symbols")),
        side=query.get("side", ""),
    )


def find_orders(
    book: AccountBook, query: OrderQuery, *, is_listed: Callable[[BrokerOrder], bool]
) -> list[BrokerOrder]:
    """Select orders; nested, an OCO's leg appears inside its order only."""
    newest_first = (
        order
        for order in _until_too_old(book, query)
        if _matches(order, query) and is_listed(order)
    )
    if not query.ascending:
        return list(islice(newest_first, query.limit))
    return list(reversed(list(newest_first)))[: query.limit]


def _until_too_old(book: AccountBook, query: OrderQuery) -> Iterator[BrokerOrder]:
    """Stop at the first order before `after`: the book keeps orders by time of submission."""
    for order in _newest_first(book, query):
        if query.after and order.submitted_at <= query.after:
            return
        yield order


def _newest_first(book: AccountBook, query: OrderQuery) -> Iterable[BrokerOrder]:
    if query.status == "open":
        return reversed(list(book.all_open()))
    return reversed(book.orders.values())


def _matches(order: BrokerOrder, query: OrderQuery) -> bool:
    return (
        (query.status == "all" or order.is_open == (query.status == "open"))
        and (query.until is None or order.submitted_at < query.until)
        and not (query.nested and order.parent_id)
        and (not query.symbols or order.symbol in query.symbols)
        and query.side in ("", order.side)
    )
