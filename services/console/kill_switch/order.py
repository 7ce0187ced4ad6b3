"""Ordering a kill by every way there is, and reading back who has halted.

What is reported is the effect: each service's own word, never the request.
"""

import datetime as dt
import time
from enum import StrEnum
from pathlib import Path

import msgspec

from services.console.stack.address import StackAddress
from services.console.stack.client import StackClient
from services.console.stack.latches import (
    DECISIVE,
    ServiceLatch,
    read_latches,
    services_with_connection,
)
from shared.domain.errors import InvariantBroken, TransientError, UserError
from shared.runtime.atomic_file import write_file
from shared.runtime.backoff import Backoff
from shared.runtime.bus.protocol import entry_order
from shared.runtime.bus.redis_connection import Address, RedisConnection
from shared.runtime.clock import SystemClock
from shared.runtime.kill.latch import readable
from shared.schemas.streams import KILL_CHANNEL, KILL_LOG

# Every latch looks ten times a second; whoever has not confirmed by then is named.
CONFIRM_SECONDS = 1.0
# A server out of connections frees idle ones within a second or two.
CONNECT_SECONDS = 3.0
POLL_SECONDS = 0.02
BY_COMMAND = "kobe kill"


class Halt(StrEnum):
    """What is known of one service after the kill."""

    HALTED = "halted"
    DOWN = "down"
    UNCONFIRMED = "unconfirmed"


class ServiceHalt(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds` from the kill to the service's own word; None if there was none."""

    service: str
    halt: Halt
    seconds: float | None = None
    reasons: tuple[str, ...] = ()


class KillReport(msgspec.Struct, frozen=True, kw_only=True):
    """What has been achieved. Empty `log_id`, `file` or `services`: that way did not work."""

    why: str
    file: str
    file_error: str
    listeners: int | None
    log_id: str
    error: str
    services: list[ServiceHalt]

    @property
    def is_certain(self) -> bool:
        """Whether nothing can increase exposure: each decisive service is halted, or will be."""
        known = {service.service: service.halt for service in self.services}
        holds_after_restart = bool(self.log_id or self.file)
        return holds_after_restart and all(
            known.get(name.value) in (Halt.HALTED, Halt.DOWN) for name in DECISIVE
        )


def order_kill(address: StackAddress, why: str) -> KillReport:
    """Write the kill file, publish, append to the log, and wait for the services' own word.

    Raises nothing: whatever fails is in the report.
    """
    began, why = time.monotonic(), readable(why)
    file, file_error = _write_kill_file(Path(address.kill_file), why)
    listeners, publish_error = _publish(address, why)
    log_id, services, error = "", [], publish_error
    try:
        client = StackClient(address)
        log_id, error = _append(client, why)
        services = _await_halts(client.redis, log_id, began)
    except (TransientError, UserError, InvariantBroken) as failure:
        error = error or str(failure)
    return KillReport(
        why=why,
        file=file,
        file_error=file_error,
        listeners=listeners,
        log_id=log_id,
        error=error,
        services=services,
    )


def _write_kill_file(file: Path, why: str) -> tuple[str, str]:
    """The file's full path, or why it could not be written. One that is there already stays."""
    try:
        if not file.exists():
            write_file(file, msgspec.json.encode(KillNote(why=why, at=SystemClock().now())))
        return str(file.absolute()), ""
    except OSError as error:
        return "", f"{file.absolute()}: {error.strerror}"


class KillNote(msgspec.Struct, frozen=True, kw_only=True):
    """What `kobe kill` writes into the kill file; `kobe resume` removes only a file that is so."""

    why: str
    at: dt.datetime
    by: str = BY_COMMAND


def _publish(address: StackAddress, why: str) -> tuple[int | None, str]:
    """How many heard it, as the user `kill`, who may do nothing else."""
    where = Address.parse(address.redis_url, username="kill", password="kill")  # noqa: S106  any password will do
    connection, backoff = RedisConnection(where), Backoff(0.05, 0.5)
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            return int(connection.one("PUBLISH", KILL_CHANNEL, why)), ""
        except TransientError as error:
            if time.monotonic() > until or "refused" in str(error).lower():
                return None, str(error)
            time.sleep(backoff.next_pause())
        except InvariantBroken as error:
            return None, str(error)
        finally:
            connection.close()


def _append(client: StackClient, why: str) -> tuple[str, str]:
    """The id of the entry in the durable log; "" and the reason if Redis does not take it."""
    try:
        entry = ("XADD", KILL_LOG, "*", "by", "console", "why", why)
        return str(client.redis.one(*entry)), ""
    except (TransientError, InvariantBroken) as error:
        return "", str(error)


def _await_halts(redis: RedisConnection, log_id: str, began: float) -> list[ServiceHalt]:
    """Each service's own word, as soon as all have given theirs or the time is up."""
    confirmed: dict[str, float] = {}
    while True:
        latches = read_latches(redis)
        for latch in latches:
            if _is_halted_by(latch, log_id):
                confirmed.setdefault(latch.service.value, time.monotonic() - began)
        waiting = [each for each in latches if each.has_lease]
        if all(each.service.value in confirmed for each in waiting):
            break
        if time.monotonic() - began > CONFIRM_SECONDS:
            break
        time.sleep(POLL_SECONDS)
    connected = services_with_connection(redis)
    return [_service_halt(latch, confirmed, connected) for latch in latches]


def _is_halted_by(latch: ServiceLatch, log_id: str) -> bool:
    """It is halted, and knows of this kill; without a log entry any reason must do."""
    status = latch.status
    if status is None or not status.is_halted:
        return False
    return not log_id or entry_order(status.seen_id) >= entry_order(log_id)


def _service_halt(
    latch: ServiceLatch, confirmed: dict[str, float], connected: set[str]
) -> ServiceHalt:
    name = latch.service.value
    if name in confirmed:
        return ServiceHalt(
            service=name, halt=Halt.HALTED, seconds=confirmed[name], reasons=latch.reasons
        )
    is_down = not latch.has_lease or not {name, "default"} & connected
    return ServiceHalt(service=name, halt=Halt.DOWN if is_down else Halt.UNCONFIRMED)
