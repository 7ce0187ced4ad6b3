"""Control of the simulation, under /sim: advance, state, requests, reset, faults.

Called by the scheduler (advance), the console (state, faults) and tests.
"""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sim_broker.exchange.order import OrderRefusal
from services.sim_broker.exchange.world_events import WorldEvent
from services.sim_broker.fault_injection.kinds import FaultKind
from services.sim_broker.http import responses
from services.sim_broker.http.account_json import Json
from services.sim_broker.http.request_log import RequestLog
from services.sim_broker.http.trade_updates import UpdateFeed
from services.sim_broker.number_format import format_decimal
from services.sim_broker.simulator import Simulator
from shared.runtime.observability.samples import MetricSample
from shared.schemas.values import Stage, Value

NO_FAULT = OrderRefusal(404, 40410000, "no fault or event of that id is scheduled")
_FAULTS = msgspec.json.Decoder(FaultKind | WorldEvent | list[FaultKind | WorldEvent], strict=False)


class StageAdvance(Value, frozen=True, kw_only=True):
    """Body of POST /sim/advance; `at` sets the broker's clock, for sessions with other hours."""

    session: dt.date
    stage: Stage
    at: dt.datetime | None = None


class Reset(Value, frozen=True, kw_only=True):
    """Body of POST /sim/reset; without a number the account's own is counted up."""

    account_number: str | None = None


class SimulationRoutes:
    def __init__(self, simulator: Simulator, requests: RequestLog, feed: UpdateFeed) -> None:
        self._simulator, self._requests, self._feed = simulator, requests, feed

    def _state(self) -> Json:
        return simulation_state(self._simulator, self._feed.listeners)

    async def advance(self, request: Request) -> Response:
        try:
            body = msgspec.json.decode(await request.body(), type=StageAdvance)
        except msgspec.MsgspecError as error:
            return responses.bad_request(f"advance needs session and stage, optionally at: {error}")
        refusal = self._simulator.advance(body.session, body.stage, body.at)
        return responses.as_refusal(refusal) if refusal else responses.as_json(self._state())

    async def state(self, _: Request) -> Response:
        return responses.as_json(self._state())

    async def requests(self, request: Request) -> Response:
        """List the last requests, oldest first; `after` skips those up to that number."""
        after = request.query_params.get("after", "0")
        number = int(after) if after.isdigit() else 0
        return responses.as_json([each for each in self._requests.records if each.n > number])

    async def reset(self, request: Request) -> Response:
        try:
            body = msgspec.json.decode(await request.body() or b"{}", type=Reset)
        except msgspec.MsgspecError as error:
            return responses.bad_request(str(error))
        self._simulator.reset(body.account_number)
        return responses.as_json(self._state())

    async def faults(self, request: Request) -> Response:
        """GET lists the scheduled faults and events, POST adds one or a list, DELETE clears."""
        if request.method == "DELETE":
            self._simulator.clear_faults()
        elif request.method == "POST":
            try:
                body = _FAULTS.decode(await request.body())
            except msgspec.MsgspecError as error:
                return responses.bad_request(_explain(error))
            for each in body if isinstance(body, list) else [body]:
                refusal = self._simulator.schedule(each)
                if refusal:
                    return responses.as_refusal(refusal)
        return responses.as_json(self._schedule())

    async def clear_fault(self, request: Request) -> Response:
        if not self._simulator.clear_fault(request.path_params["id"]):
            return responses.as_refusal(NO_FAULT)
        return responses.as_json(self._schedule())

    def _schedule(self) -> list[Json]:
        return [
            {"id": name, **msgspec.to_builtins(each)}
            for name, each in self._simulator.scheduled_faults().items()
        ]


def _explain(error: msgspec.MsgspecError) -> str:
    """The decoder's sentence, with the kinds there are if it is the kind that is wrong."""
    sentence = str(error)
    if "kind" not in sentence:
        return sentence
    kinds = sorted(str(each.__struct_config__.tag) for each in get_args(FaultKind | WorldEvent))
    return f"{sentence}; kind is one of {', '.join(kinds)}"


def routes(
    simulator: Simulator, requests: RequestLog, feed: UpdateFeed, *, test: bool
) -> list[Route]:
    """The paths under /sim; those of faults only in a test."""
    handlers = SimulationRoutes(simulator, requests, feed)
    control = [
        Route("/sim/advance", handlers.advance, methods=["POST"]),
        Route("/sim/state", handlers.state, methods=["GET"]),
        Route("/sim/requests", handlers.requests, methods=["GET"]),
        Route("/sim/reset", handlers.reset, methods=["POST"]),
    ]
    faults = [
        Route("/sim/faults", handlers.faults, methods=["GET", "POST", "DELETE"]),
        Route("/sim/faults/{id}", handlers.clear_fault, methods=["DELETE"]),
    ]
    return [*control, *faults] if test else control


def simulation_state(simulator: Simulator, listeners: int) -> Json:
    """The present stage and the account's figures."""
    book = simulator.exchange.book
    sessions = simulator.exchange.bars.sessions()
    return {
        "account_number": book.account.number,
        "session": book.account.session,
        "stage": book.account.stage if book.account.session else None,
        "at": book.account.at,
        "cash": format_decimal(book.account.cash),
        "equity": format_decimal(book.equity),
        "orders": len(book.orders),
        "open_orders": book.open_count,
        "fills": book.account.fills,
        "listeners": listeners,
        "positions": {
            symbol: _share_count(position.qty) for symbol, position in book.positions.items()
        },
        "sessions": {"first": sessions[0], "last": sessions[-1], "count": len(sessions)},
    }


def _share_count(qty: Decimal) -> int | str:
    """Whole shares as a number, fractions as text."""
    return int(qty) if qty == qty.to_integral_value() else format_decimal(qty)


def account_gauges(simulator: Simulator) -> Iterable[MetricSample]:
    book = simulator.exchange.book
    yield MetricSample(
        "kobe_sim_equity_dollars", float(book.equity), help="Equity of the simulated account"
    )
    yield MetricSample(
        "kobe_sim_cash_dollars", float(book.account.cash), help="Cash of the simulated account"
    )
    yield MetricSample(
        "kobe_sim_orders", len(book.orders), help="Orders the simulated broker has taken"
    )
    yield MetricSample(
        "kobe_sim_open_orders", book.open_count, help="Orders working at the simulated broker"
    )
    yield MetricSample(
        "kobe_sim_positions", len(book.positions), help="Symbols held in the simulated account"
    )
    yield MetricSample("kobe_sim_fills", book.account.fills, help="Fills of the simulated account")
