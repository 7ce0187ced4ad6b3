"""The kill, tried on the running stack: every way in, nothing that undoes it but a signed resume.

The result is a message of the operator, so that the audit chain proves that the drill was done.
"""

import time
from collections.abc import Callable
from getpass import getuser
from pathlib import Path

from services.console.kill_switch.order import Halt, order_kill
from services.console.kill_switch.resumption import Resumer, remove_own_kill_file
from services.console.stack.client import StackClient
from services.console.stack.control_writer import send_control
from services.console.stack.latches import (
    DECISIVE,
    ServiceLatch,
    read_latches,
)
from shared.domain.errors import InvariantBroken, TransientError, UserError
from shared.runtime.bus.redis_connection import Address, RedisConnection, pairs
from shared.schemas.messages import KillDrilled
from shared.schemas.streams import KILL_CHANNEL, KILL_LOG, KILL_RESUME
from shared.schemas.values import Mode

# What must hold for a while is looked at after as long: five looks of every latch.
WATCH_SECONDS = 0.5
# The durable log has each service's entry within a second of the kill.
LOG_SECONDS = 1.5
# Twice what Redis is set up to take in one piece.
OVERSIZED = 2 * 1024 * 1024
WHY = "kill drill"


class Drill:
    """One drill; `on_step` is called with what is being tried."""

    def __init__(
        self, client: StackClient, on_step: Callable[[str], None] = lambda _: None
    ) -> None:
        """Raises UserError in live, while anything is halted, and unless both services run."""
        self._client, self._on_step = client, on_step
        self._resumer = Resumer(client)
        self._failures: list[str] = []
        self._confirmed: dict[str, int] = {}
        self._require_running_stack()

    def _require_running_stack(self) -> None:
        standing = self._resumer.standing()
        if standing.mode == Mode.LIVE.value:
            raise UserError("A drill opens and closes trading; it is for sim and paper, not live.")
        if standing.is_halted:
            raise UserError("The stack is halted already; resume it, then drill.")
        missing = [latch.service.value for latch in self._decisive() if not latch.has_lease]
        if missing:
            raise UserError(f"{' and '.join(missing)} must run for a drill; start the stack.")

    def run(self) -> KillDrilled:
        """Try everything, resume, and write the result into the control stream."""
        self._try_oversized_payload()
        self._try_kill()
        self._try_log()
        self._try_unsigned_resume()
        self._try_removing_the_file()
        self._try_resume()
        return self._record()

    def _try_oversized_payload(self) -> None:
        self._on_step("an oversized payload fails at its sender")
        where = Address.parse(self._client.address.redis_url, username="kill", password="kill")  # noqa: S106  any password will do
        connection = RedisConnection(where)
        try:
            connection.one("PUBLISH", KILL_CHANNEL, "x" * OVERSIZED)
            self._failures.append("Redis took a payload of 2 MiB; set proto-max-bulk-len 1mb")
        except (TransientError, InvariantBroken):
            pass
        finally:
            connection.close()

    def _try_kill(self) -> None:
        self._on_step("a kill is confirmed by every service")
        report = order_kill(self._client.address, WHY)
        for service in report.services:
            if service.seconds is not None:
                self._confirmed[service.service] = round(service.seconds * 1000)
            elif service.halt is Halt.UNCONFIRMED:
                self._failures.append(f"{service.service} did not confirm the kill")
        self._failures += [text for text in (report.error, report.file_error) if text]

    def _try_log(self) -> None:
        self._on_step("every service writes the kill into the durable log")
        alive = {latch.service.value for latch in self._latches() if latch.has_lease}
        until = time.monotonic() + LOG_SECONDS
        while (missing := alive - self._writers()) and time.monotonic() < until:
            time.sleep(0.05)
        self._failures += [
            f"{name} did not write the kill into the log" for name in sorted(missing)
        ]

    def _writers(self) -> set[str]:
        """Who has written a kill of this drill into the log."""
        entries = self._client.redis.one("XREVRANGE", KILL_LOG, "+", "-", "COUNT", 50)
        return {
            fields.get("by", "")
            for _, flat in entries
            if (fields := pairs(flat)).get("why") in (WHY, "kill file")
        }

    def _try_unsigned_resume(self) -> None:
        self._on_step("a resume without the operator's signature disarms nothing")
        forged = '{"cleared_id":"9999999999999-0"}'
        self._client.redis.one(
            "HSET", KILL_RESUME, "record", forged, "cleared_id", "9999999999999-0"
        )
        self._require_still_halted("an unsigned resume was obeyed")

    def _try_removing_the_file(self) -> None:
        self._on_step("removing the kill file alone resumes nothing")
        remove_own_kill_file(Path(self._client.address.kill_file))
        self._require_still_halted("removing the kill file was enough to resume")

    def _require_still_halted(self, failure: str) -> None:
        time.sleep(WATCH_SECONDS)
        for latch in self._latches():
            if latch.has_lease and not latch.reasons:
                self._failures.append(f"{latch.service.value}: {failure}")

    def _try_resume(self) -> None:
        self._on_step("a signed resume is obeyed")
        seen = self._resumer.standing().last_id
        outcome = self._resumer.clear(seen, by=getuser(), why=f"{WHY} over")
        self._failures += [
            f"{name} is still halted: {'; '.join(reasons)}"
            for name, reasons in outcome.halted.items()
        ]

    def _record(self) -> KillDrilled:
        message = KillDrilled(
            passed=not self._failures,
            confirmed=self._confirmed,
            failures=tuple(self._failures),
            by=getuser(),
        )
        send_control(self._client, message)
        return message

    def _latches(self) -> list[ServiceLatch]:
        return read_latches(self._client.redis)

    def _decisive(self) -> list[ServiceLatch]:
        return [latch for latch in self._latches() if latch.service in DECISIVE]
