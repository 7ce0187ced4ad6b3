"""Whom the executor obeys: an order not signed by the gate goes to `dead`.

Called by the service loop with every envelope, before any handler. In live a bad signature also
halts.
"""

from collections.abc import Callable

from shared.domain.errors import InvalidMessage
from shared.runtime.observability.log import Log
from shared.runtime.signing import Keyring
from shared.schemas.envelope import Envelope
from shared.schemas.messages import OrderApproved
from shared.schemas.streams import Stream


def only_the_gate(
    keyring: Keyring,
    log: Log,
    *,
    halt: Callable[[str], None] | None = None,
    keep: Callable[[Envelope], None] | None = None,
) -> Callable[[Envelope], None]:
    """Other streams are guarded by the server's access rules; only orders can move money."""

    def verify(envelope: Envelope) -> None:
        if envelope.stream is not Stream.ORDERS:
            return
        try:
            keyring.verify(envelope)
        except InvalidMessage as error:
            log.critical(
                "signature_refused", type=envelope.type, seq=envelope.seq, reason=str(error)
            )
            if halt:
                halt(f"an order with a bad signature: {error}")
            raise
        if keep and envelope.type == OrderApproved.__name__:
            keep(envelope)

    return verify
