"""Entry point of the simulated broker: settings, market data, journal, HTTP server.

Run by compose and by the demo, in mode sim only. Probes are answered at once; the broker's own
routes answer 503 until there are bars.
"""

import os
import sys
from pathlib import Path
from threading import Event

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from services.sim_broker.archive_market_data import ArchiveMarketData
from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.fault_injection.connect_relay import ConnectRelay
from services.sim_broker.http.app import create_app
from services.sim_broker.http.responses import as_json
from services.sim_broker.journal import EventJournal
from services.sim_broker.simulator import Simulator
from shared.domain.errors import UserError
from shared.runtime.archive.archive import BarArchive
from shared.runtime.clock import SystemClock
from shared.runtime.config.settings import Settings, load_settings
from shared.runtime.observability.health_server import Health, Server, probes
from shared.runtime.observability.log import configure_logging, logger
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.runner.wiring import exit_code_of, stop_on_signal
from shared.schemas.values import Mode

NAME = "sim-broker"
ACCOUNT = "SIM000001"
BARS_POLL_SECONDS = 0.2
"""Short beside the seconds the data-fetcher needs for its first archive."""
BEAT_SECONDS = 1.0
"""Well inside the age at which the liveness probe fails."""
NOT_YET = {"code": 50310000, "message": "the simulated broker has no bars yet"}


class EarlyApp:
    """The app the server runs: probes until the broker is ready, then the broker itself."""

    def __init__(self, health: Health, registry: CollectorRegistry) -> None:
        self._probes: ASGIApp = probes(health, registry)
        self.broker: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        early = (
            self.broker is None
            and scope["type"] == "http"
            and scope["path"].startswith(("/v1", "/v2", "/sim"))
        )
        app = as_json(NOT_YET, 503) if early else self.broker or self._probes
        await app(scope, receive, send)


def main() -> None:
    sys.exit(exit_code_of(_serve))


def _serve() -> None:
    settings = load_settings(os.environ)
    if settings.mode is not Mode.SIM:
        raise UserError(
            f"The simulated broker runs in mode sim only, not {settings.mode}.", exit_code=2
        )
    configure_logging(settings, NAME)
    environment, metrics, stop = settings.environment, MetricRegistry(NAME), stop_on_signal()
    health = Health(SystemClock())
    app = EarlyApp(health, metrics.registry)
    server, relay = _listen(app, settings)
    logger().info("runner_start", port=relay.port if relay else server.port)
    try:
        if not _wait_for_bars(environment.archive_dir, health, stop):
            return
        simulator = build_simulator(settings)
        simulator.slow_connects = relay.slow_connects if relay else None
        app.broker = create_app(
            simulator,
            key_id=environment.broker_key_id.reveal(),
            secret=environment.broker_secret_key.reveal(),
            test=environment.test,
            health=health,
            metrics=metrics,
        )
        health.mark_ready("starting")
        while not stop.wait(BEAT_SECONDS):
            health.beat()
    finally:
        if relay:
            relay.stop()
        server.stop()
        logger().info("runner_stop")


def _listen(app: ASGIApp, settings: Settings) -> tuple[Server, ConnectRelay | None]:
    """Serve on the configured port; in a test behind a relay that can delay connections."""
    host, port = settings.environment.http_host, settings.environment.http_port
    if not settings.environment.test:
        return Server(app, host, port).start(), None
    server = Server(app, "127.0.0.1", 0).start()
    return server, ConnectRelay(host, port, server.port).start()


def _wait_for_bars(folder: Path, health: Health, stop: Event) -> bool:
    """Wait for the data-fetcher's archive; False if the process is stopped first."""
    health.mark_unready("bars", f"no bars yet in {folder}")
    while not BarArchive.exists(folder):
        health.beat()
        if stop.wait(BARS_POLL_SECONDS):
            return False
    health.mark_ready("bars")
    return True


def build_simulator(settings: Settings) -> Simulator:
    environment, config = settings.environment, settings.config
    exchange = Exchange(
        ArchiveMarketData(environment.archive_dir),
        cash=config.broker.starting_cash,
        number=ACCOUNT,
        shorting=bool(config.rules.get("short_selling", {}).get("allowed", False)),
    )
    path = environment.state_dir / f"{NAME}.jsonl"
    simulator = Simulator(exchange, journal=EventJournal(path))
    session = exchange.book.account.session
    if session and session not in exchange.bars.sessions():
        raise UserError(
            f"The simulated broker stands at session {session}, which these bars do not have; "
            f"give it its bars back, or remove {path} to begin with a new account."
        )
    return simulator


if __name__ == "__main__":
    main()
