"""Puts a message into its envelope: number, cause, pin and, where the service signs, signature."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.domain.errors import InvariantBroken
from shared.runtime.clock import Clock
from shared.runtime.runner.contract import Outgoing, Trigger
from shared.schemas.envelope import MAX_BYTES, Envelope, canonical, envelope_id
from shared.schemas.messages import Message
from shared.schemas.streams import STREAM_OF, WRITER, ServiceName, Stream
from shared.schemas.values import Mode

# What the other fields of an envelope may take, signature included.
ENVELOPE_MARGIN = 4096


@dataclass(frozen=True, slots=True)
class Identity:
    """What stands in every envelope this process writes."""

    mode: Mode
    account: str
    config_pin: str
    code_digest: str


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals for one writer.

    Raises InvariantBroken for a stream that is not its own and for data no reader would accept.
    """

    writer: ServiceName
    identity: Identity
    clock: Clock
    sign: Callable[[Envelope], Envelope] | None = None

    def __call__(
        self, message: Message | Outgoing, trigger: Trigger, *, seq: int, fence: int
    ) -> tuple[Stream, Envelope]:
        own = (
            message
            if isinstance(message, Outgoing)
            else Outgoing(message, trigger.session, trigger.correlation_id)
        )
        kind = type(own.message)
        stream = STREAM_OF[kind]
        if WRITER[stream] is not self.writer:
            raise InvariantBroken(f"{self.writer} may not write {kind.__name__} to {stream}")
        data = canonical(own.message).decode()
        if len(data) > MAX_BYTES - ENVELOPE_MARGIN:
            raise InvariantBroken(
                f"{kind.__name__} of {len(data)} bytes is too large for an envelope"
            )
        envelope = Envelope(
            type=kind.__name__,
            id=envelope_id(self.writer, stream, seq),
            writer=self.writer,
            seq=seq,
            at=self.clock.now(),
            session=own.session,
            correlation_id=own.correlation_id,
            causation_id=trigger.id,
            mode=self.identity.mode,
            account=self.identity.account,
            config_pin=self.identity.config_pin,
            code_digest=self.identity.code_digest,
            fence=fence,
            data=data,
        )
        return stream, self.sign(envelope) if self.sign else envelope
