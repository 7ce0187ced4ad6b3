"""/liveness, /readiness and /metrics of every service, served by uvicorn in a thread of its own."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.types import ASGIApp

from shared.domain.errors import UserError
from shared.runtime.clock import Clock

# Longer than any step may take; a container that is restarted for being slow loses its work.
STALLED_SECONDS = 30.0


@dataclass
class Health:
    """What the probes answer: the loop beats; `reasons` are why the service is not ready."""

    clock: Clock
    _beat: float = field(init=False)
    _reasons: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._beat = self.clock.monotonic()
        self._reasons["starting"] = "starting"

    def beat(self) -> None:
        self._beat = self.clock.monotonic()

    def mark_unready(self, topic: str, reason: str) -> None:
        self._reasons = {**self._reasons, topic: reason}

    def mark_ready(self, topic: str) -> None:
        if topic in self._reasons:
            self._reasons = {key: text for key, text in self._reasons.items() if key != topic}

    @property
    def reasons(self) -> list[str]:
        return sorted(self._reasons.values())

    @property
    def alive(self) -> bool:
        return self.clock.monotonic() - self._beat < STALLED_SECONDS


def probes(health: Health, registry: CollectorRegistry) -> FastAPI:
    """The probe app; services with more to say (sim-broker) add their routes to it."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_probes(app, health, registry)
    return app


def add_probes(app: FastAPI, health: Health, registry: CollectorRegistry) -> None:
    @app.get("/liveness")
    def liveness(response: Response) -> dict[str, bool]:
        response.status_code = 200 if health.alive else 503
        return {"alive": health.alive}

    @app.get("/readiness")
    def readiness(response: Response) -> dict[str, bool | list[str]]:
        reasons = health.reasons
        response.status_code = 503 if reasons else 200
        return {"ready": not reasons, "reasons": reasons}

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class Server:
    """uvicorn on a port of its own, in a thread; `port` is the real one where 0 was asked for."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._socket = _bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> Server:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer waits 40 ms
    # for an ACK
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise UserError(
            f"Port {port} on {host} cannot be used ({error.strerror}); "
            "stop what holds it or set KOBE_HTTP_PORT.",
            exit_code=1,
        ) from error
    return listening
