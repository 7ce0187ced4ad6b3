"""The operator as a writer: one signed message on the control stream, numbered like any other."""

import time
from datetime import date

from services.console.stack.client import StackClient
from services.console.stack.operator_key import OperatorKey
from shared.domain.errors import UserError
from shared.runtime.bus.protocol import StateRecord, Step
from shared.runtime.bus.redis_bus import RedisBus
from shared.runtime.clock import SystemClock
from shared.runtime.runner.contract import Trigger
from shared.runtime.runner.sealer import Sealer
from shared.schemas.envelope import Envelope, to_fields
from shared.schemas.messages import Message, SessionOpened
from shared.schemas.streams import ServiceName, Stream

# Another console writes for milliseconds; one that died leaves its lease for 15 s.
PATIENCE_SECONDS = 17.0


def send_control(client: StackClient, message: Message) -> Envelope:
    """Write one control message, signed; the envelope as it stands on the stream.

    Raises UserError while another console writes, without the operator's key, and if no service of
    the stack has ever spoken.
    """
    signer, identity, clock = (
        OperatorKey.load(client.address).signer,
        client.identity(),
        SystemClock(),
    )
    bus = RedisBus(client.redis, ServiceName.CONSOLE, "console")
    record = _take_pen(bus, clock)
    try:
        sealer = Sealer(ServiceName.CONSOLE, identity, clock, signer.sign)
        seq = int(record.fields.get("seq", 0)) + 1
        session = _last_session(client) or clock.now().date()
        trigger = Trigger("", clock.now(), session, "")
        stream, envelope = sealer(message, trigger, seq=seq, fence=record.fence)
        bus.commit(
            Step(record.version, changed={"seq": str(seq)}, outputs=[(stream, to_fields(envelope))])
        )
        return envelope
    finally:
        bus.release()


def _take_pen(bus: RedisBus, clock: SystemClock) -> StateRecord:
    until = clock.monotonic() + PATIENCE_SECONDS
    while (record := bus.acquire()) is None:
        if clock.monotonic() > until:
            raise UserError("Another console is writing just now; try again.")
        time.sleep(0.1)
    return record


def _last_session(client: StackClient) -> date | None:
    opened = client.latest(Stream.SCHEDULE, SessionOpened, 1)
    return opened[0].envelope.session if opened else None
