"""The simulated broker's HTTP application: routes, middleware, update stream and probes.

Speaks Alpaca's Trading API v2 and latest quotes, so that the executor's adapter and Alpaca's own
client use it unchanged; the simulation is controlled under /sim.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.routing import WebSocketRoute

from services.sim_broker.http import (
    account_routes,
    market_routes,
    simulation_routes,
    trading_routes,
)
from services.sim_broker.http.middleware import BrokerMiddleware
from services.sim_broker.http.request_log import RequestLog, RequestRecord
from services.sim_broker.http.trade_updates import UpdateFeed
from services.sim_broker.simulator import Simulator
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.observability.health_server import Health, add_probes
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.observability.samples import CounterSpec, label_sets

REQUESTS = CounterSpec(
    "kobe_sim_requests",
    "Requests answered",
    label_sets(
        method=["GET", "POST", "PATCH", "DELETE"],
        status=["200", "201", "204", "400", "401", "403", "404", "422", "429", "500", "503"],
    ),
)


def create_app(
    simulator: Simulator,
    *,
    key_id: str = "",
    secret: str = "",
    test: bool = False,
    clock: Clock | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    health: Health | None = None,
    metrics: MetricRegistry | None = None,
) -> FastAPI:
    """Build the application. Without a `key_id` any keys are accepted; `test` opens /sim/faults.

    `sleep` is how delays pass, for a simulation with a clock of its own.
    """
    clock = clock or SystemClock()

    def authorize(key: str, password: str) -> bool:
        return not key_id or (_same(key, key_id) and _same(password, secret))

    def count_request(record: RequestRecord) -> None:
        if metrics:
            metrics.count("kobe_sim_requests", method=record.method, status=str(record.status))

    requests, feed = RequestLog(clock), UpdateFeed(authorize)
    simulator.subscribe(feed.publish)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if health:
        add_probes(app, health, metrics.registry if metrics else CollectorRegistry())
    if metrics:
        metrics.declare(REQUESTS)
        metrics.watch(lambda: simulation_routes.account_gauges(simulator))
    app.router.routes.extend(trading_routes.routes(simulator))
    app.router.routes.extend(account_routes.routes(simulator))
    app.router.routes.extend(market_routes.routes(simulator))
    app.router.routes.extend(simulation_routes.routes(simulator, requests, feed, test=test))
    app.router.routes.append(WebSocketRoute("/stream", feed.serve))
    app.add_middleware(
        BrokerMiddleware,
        requests=requests,
        authorize=authorize,
        faults=simulator.faults,
        on_reply=count_request,
        sleep=sleep,
    )
    return app


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
