"""Alpaca's Trading API v2, real or simulated, as a Broker.

Wired by the executor's __main__. It sends an order at most once a call and says what became of it;
everything else it asks raises TransientError where the answer is missing or makes no sense.
"""

import datetime as dt
import math
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import TypeVar
from urllib.parse import quote, urlencode

from services.executor.brokers.alpaca import wire_account, wire_orders
from services.executor.brokers.alpaca.announcements import Announcements
from services.executor.brokers.alpaca.decoding import UnreadableReply, read_error
from services.executor.brokers.alpaca.http import (
    DeadlineHttp,
    HttpReply,
    NoAnswer,
    NotSent,
    Withheld,
)
from services.executor.brokers.alpaca.rate_limit import RequestWindow
from services.executor.brokers.protocol import (
    AccountView,
    BrokerClock,
    OrderList,
    OrderRequest,
    PositionList,
    PositionView,
    SubmitAnswer,
    SubmitResult,
    no_objection,
)
from shared.domain.errors import TransientError
from shared.domain.trading.orders import OrderView
from shared.runtime.clock import Clock
from shared.schemas.corporate_actions import CorporateActions
from shared.schemas.values import TradingSession

T = TypeVar("T")
GET_SECONDS = 3.0  # a look-up may be repeated, so it waits less than a POST
PAGE, PAGES = 500, 40  # Alpaca's longest page; 20,000 orders are more than any account has open
UNNAMED_PAUSE = 1.0  # seconds, where a 429 or a failed connection names none
LONGEST_WAIT = 60.0  # Alpaca's rate window: no refusal lasts longer
REJECTIONS = frozenset({400, 401, 403, 422})
BLOCKING_WORDS = (
    "blocked",
    "not allowed for account",
    "not authorized",
    "rejected by user request",
    "suspended",
)
PASSING_WORDS = ("insufficient qty", "wash trade", "halted", "held_for_orders")
"""Refusals that end when another order of the account ends, or the exchange trades again."""


class AlpacaBroker:
    """Implements protocol.Broker."""

    def __init__(
        self,
        http: DeadlineHttp,
        *,
        budget: RequestWindow,
        clock: Clock,
        post_seconds: float = 5.0,
        announcements: Announcements | None = None,
    ) -> None:
        self._http, self._budget, self._clock = http, budget, clock
        self._post_seconds, self._announcements = post_seconds, announcements

    # --- orders -----------------------------------------------------------------------------------

    def submit(
        self, request: OrderRequest, *, last_look: Callable[[], str] = no_objection
    ) -> SubmitAnswer:
        wait = self._budget.wait(order=True)
        if wait:
            return SubmitAnswer(
                SubmitResult.NOT_TAKEN,
                "kept back: the request budget is spent",
                retry_after=wait,
                counted=False,
            )
        self._budget.spend()
        try:
            reply = self._http.request(
                "POST",
                "/v2/orders",
                wire_orders.body_of(request),
                seconds=self._post_seconds,
                last_look=last_look,
            )
        except Withheld as error:
            return SubmitAnswer(SubmitResult.WITHHELD, str(error), counted=False)
        except NotSent as error:
            return SubmitAnswer(SubmitResult.NOT_SENT, str(error), retry_after=UNNAMED_PAUSE)
        except NoAnswer as error:
            return SubmitAnswer(SubmitResult.UNKNOWN, str(error))
        if reply.status == 429:
            return SubmitAnswer(
                SubmitResult.NOT_TAKEN,
                "too many requests",
                retry_after=self._pause_after_429(reply),
            )
        return classify(reply, request)

    def cancel(self, broker_order_id: str) -> None:
        reply = self._exchange("DELETE", f"/v2/orders/{quote(broker_order_id, safe='')}")
        if reply.status not in (200, 204, 404, 422):
            raise _unforeseen("the cancel", reply)

    def order_by_client_id(self, client_order_id: str) -> OrderView | None:
        query = urlencode({"client_order_id": client_order_id})
        reply = self._find(f"/v2/orders:by_client_order_id?{query}")
        return None if reply is None else _read(wire_orders.read_order, reply)

    def order(self, broker_order_id: str) -> OrderView | None:
        reply = self._find(f"/v2/orders/{quote(broker_order_id, safe='')}?nested=true")
        return None if reply is None else _read(wire_orders.read_order, reply)

    def open_orders(self) -> OrderList:
        return self._orders({"status": "open", "direction": "asc"})

    def orders_since(self, after: dt.datetime | None) -> OrderList:
        if after is None:
            return self._orders({"status": "all", "direction": "desc"}, pages=1)
        return self._orders({"status": "all", "direction": "asc", "after": _instant(after)})

    def _orders(self, query: dict[str, str], *, pages: int = PAGES) -> OrderList:
        ours: list[OrderView] = []
        unreadable: list[str] = []
        foreign = 0
        for _ in range(pages):
            page = _read(wire_orders.read_orders, self._order_page(query))
            ours += page.ours
            unreadable += page.unreadable
            foreign += page.foreign
            if page.rows < PAGE or page.last is None or pages == 1:
                return OrderList(ours=tuple(ours), foreign=foreign, unreadable=tuple(unreadable))
            query |= {"after": _instant(page.last)}
        raise TransientError(f"the broker lists more than {pages * PAGE} orders")

    def _order_page(self, query: dict[str, str]) -> HttpReply:
        return self._get("/v2/orders?" + urlencode(query | {"limit": str(PAGE), "nested": "true"}))

    def foreign_executions(self, symbol: str, since: dt.datetime) -> Decimal:
        reply = self._order_page({"status": "all", "symbols": symbol, "direction": "desc"})
        return _read(lambda body: wire_orders.read_foreign_executions(body, since), reply)

    # --- the account ------------------------------------------------------------------------------

    def positions(self) -> PositionList:
        return _read(wire_account.read_positions, self._get("/v2/positions"))

    def position(self, symbol: str) -> PositionView | None:
        reply = self._find(f"/v2/positions/{quote(symbol, safe='')}")
        return None if reply is None else _read(wire_account.read_position, reply)

    def corporate_actions(
        self, symbols: Collection[str], since: dt.date, through: dt.date
    ) -> CorporateActions:
        if self._announcements is None or not symbols:
            return CorporateActions()
        return self._announcements.read(symbols, since, through)

    def account(self) -> AccountView:
        return _read(wire_account.read_account, self._get("/v2/account"))

    def clock(self) -> BrokerClock:
        return _read(wire_account.read_clock, self._get("/v2/clock"))

    def sessions(self, first: dt.date, last: dt.date) -> tuple[TradingSession, ...]:
        query = urlencode({"start": first.isoformat(), "end": last.isoformat()})
        days = _read(wire_account.read_calendar, self._get(f"/v2/calendar?{query}"))
        return tuple(each for each in days if first <= each.session <= last)

    # --- requests ---------------------------------------------------------------------------------

    def _find(self, path: str) -> HttpReply | None:
        """None where the broker says 404 in its own words; a proxy's 404 is no answer."""
        reply = self._exchange("GET", path)
        if reply.status == 404 and read_error(reply.body).code:
            return None
        return _good(path, reply)

    def _get(self, path: str) -> HttpReply:
        return _good(path, self._exchange("GET", path))

    def _exchange(self, method: str, path: str) -> HttpReply:
        wait = self._budget.wait(order=False)
        if wait:
            raise TransientError("kept back: the request budget is spent", retry_after=wait)
        self._budget.spend()
        try:
            reply = self._http.request(method, path, seconds=GET_SECONDS)
        except (NotSent, NoAnswer) as error:
            raise TransientError(f"the broker does not answer: {error}") from error
        if reply.status == 429:
            raise TransientError(
                "the broker says: too many requests", retry_after=self._pause_after_429(reply)
            )
        return reply

    def _pause_after_429(self, reply: HttpReply) -> float:
        """Seconds until the broker listens again; everything of ours waits so long."""
        seconds = _number(reply.headers.get("retry-after"))
        if seconds is None:
            reset = _number(reply.headers.get("x-ratelimit-reset"))
            seconds = (
                UNNAMED_PAUSE
                if reset is None
                else reset - self._clock.now().timestamp() + UNNAMED_PAUSE
            )
        seconds = min(max(seconds, 0.1), LONGEST_WAIT)
        self._budget.close(seconds)
        return seconds


def classify(reply: HttpReply, request: OrderRequest) -> SubmitAnswer:
    """Classify by HTTP status, then code, then words; what is not on the list is unknown."""
    if reply.status in (200, 201):
        return _accept(reply, request)
    error = read_error(reply.body)
    detail = f"{reply.status} {error.code or ''} {error.message}"[:300]
    words = error.message.lower()
    if (
        reply.status == 422
        and "client_order_id" in words
        and ("unique" in words or "duplicate" in words)
    ):
        return SubmitAnswer(SubmitResult.EXISTS, detail)
    if reply.status in REJECTIONS:
        halts = reply.status == 401 or any(word in words for word in BLOCKING_WORDS)
        passes = not halts and any(word in words for word in PASSING_WORDS)
        return SubmitAnswer(SubmitResult.REJECTED, detail, passes=passes, halts=halts)
    return SubmitAnswer(SubmitResult.UNKNOWN, detail)


def _accept(reply: HttpReply, request: OrderRequest) -> SubmitAnswer:
    try:
        order = wire_orders.read_order(reply.body)
    except UnreadableReply as error:
        return SubmitAnswer(SubmitResult.UNKNOWN, f"unreadable reply: {error}"[:300])
    sent = (request.client_order_id, request.symbol, request.side, Decimal(request.qty))
    shown = (order.client_order_id, order.symbol, order.side, order.qty)
    if sent != shown:
        return SubmitAnswer(SubmitResult.UNKNOWN, f"the reply is about {shown}, not {sent}")
    return SubmitAnswer(SubmitResult.ACCEPTED, order=order)


def _good(what: str, reply: HttpReply) -> HttpReply:
    if reply.status != 200:
        raise _unforeseen(what, reply)
    return reply


def _unforeseen(what: str, reply: HttpReply) -> TransientError:
    words = read_error(reply.body).message[:200]
    return TransientError(f"the broker answers {what} with {reply.status}: {words}")


def _read(read: Callable[[bytes], T], reply: HttpReply) -> T:
    try:
        return read(reply.body)
    except UnreadableReply as error:
        raise TransientError(f"the broker's answer makes no sense: {error}") from error


def _instant(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _number(text: str | None) -> float | None:
    """The number in a header; None if there is none, or one that counts nothing (NaN, infinity)."""
    try:
        number = float(text) if text else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None
