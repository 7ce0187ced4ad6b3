"""The operator as a writer: one message on the control stream, numbered and sealed as every service's are."""

from __future__ import annotations

import time

from services.console.stack.client import StackClient
from shared.domain.errors import TransientError, UserError
from shared.runtime.bus.protocol import Step
from shared.runtime.bus.redis_bus import RedisBus
from shared.runtime.clock import SystemClock
from shared.runtime.runner.contract import Trigger
from shared.runtime.runner.sealer import Identity, Sealer
from shared.schemas.envelope import Envelope, to_fields
from shared.schemas.messages import Message, SessionOpened
from shared.schemas.streams import ServiceName, Stream

PATIENCE_SECONDS = 3.0


def say(operations: StackClient, message: Message) -> None:
    """Write one control message; raises UserError while another console holds the pen."""
    clock = SystemClock()
    bus = RedisBus(operations.redis, ServiceName.CONSOLE, "console")
    until = clock.monotonic() + PATIENCE_SECONDS
    while (record := bus.acquire()) is None:
        if clock.monotonic() > until:
            raise UserError("Another console is writing just now; try again.")
        time.sleep(0.1)
    try:
        last = _last_session(operations)
        sealer = Sealer(ServiceName.CONSOLE, _identity(last), clock)
        seq = int(record.fields.get("seq", 0)) + 1
        trigger = Trigger("", clock.now(), last.session, "")
        stream, envelope = sealer(message, trigger, seq=seq, fence=record.fence)
        bus.commit(
            Step(record.version, changed={"seq": str(seq)}, outputs=[(stream, to_fields(envelope))])
        )
    finally:
        bus.release()


def _last_session(operations: StackClient) -> Envelope:
    found = operations.latest(Stream.SCHEDULE, SessionOpened, 1)
    if not found:
        raise TransientError("no session has been opened yet")
    return found[0].envelope


def _identity(last: Envelope) -> Identity:
    return Identity(last.mode, last.account, last.config_pin, last.code_digest)
