"""The simulated broker's HTTP face: `create_app` puts routes, door, stream and probes together.

Speaks Alpaca's Trading API v2 and latest quotes, so that the executor's adapter and Alpaca's own
client use it unchanged; what steers the simulation is under /sim.
"""

from __future__ import annotations

import hmac

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.routing import WebSocketRoute

from services.sim_broker.http import (
    market_routes as market,
    simulation_routes as control,
    trading_routes as trading,
)
from services.sim_broker.http.middleware import Door, Requests, Seen
from services.sim_broker.http.trade_updates import Feed
from services.sim_broker.simulator import Desk
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.observability.health_server import Health, add_probes
from shared.runtime.observability.metrics import MetricRegistry


def create_app(
    desk: Desk,
    *,
    key_id: str = "",
    secret: str = "",
    test: bool = False,
    clock: Clock | None = None,
    health: Health | None = None,
    metrics: MetricRegistry | None = None,
) -> FastAPI:
    """Without a `key_id` any keys are let in. `test` opens /sim/faults."""
    clock = clock or SystemClock()

    def authorized(key: str, password: str) -> bool:
        return not key_id or (_same(key, key_id) and _same(password, secret))

    def answered(seen: Seen) -> None:
        if metrics:
            metrics.count("kobe_sim_requests", method=seen.method, status=str(seen.status))

    requests, feed = Requests(clock), Feed(authorized)
    desk.listen(feed.tell)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if health:
        add_probes(app, health, metrics.registry if metrics else CollectorRegistry())
    if metrics:
        metrics.watch(lambda: control.gauges(desk))
    app.router.routes.extend(trading.routes(desk))
    app.router.routes.extend(market.routes(desk))
    app.router.routes.extend(control.routes(desk, requests, feed, test=test))
    app.router.routes.append(WebSocketRoute("/stream", feed.serve))
    app.add_middleware(
        Door, requests=requests, authorized=authorized, faults=desk.faults, answered=answered
    )
    return app


def _same(told: str, right: str) -> bool:
    return hmac.compare_digest(told.encode(), right.encode())
