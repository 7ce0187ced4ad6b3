"""The signatures inside the chain: orders by the gate's own key, clearings by the operator's.

Called by verify for each record that holds a message.
"""

import msgspec

from shared.domain.errors import InvalidMessage
from shared.runtime.signing import Keyring
from shared.schemas.envelope import Envelope
from shared.schemas.json_types import JsonMapping
from shared.schemas.messages import KillCleared, OrderApproved
from shared.schemas.streams import Stream

# What somebody obeys because of who signed it, and the stream it is obeyed on.
OBEYED = {OrderApproved.__name__: Stream.ORDERS.key, KillCleared.__name__: Stream.CONTROL.key}


class MessageChecks:
    """Without a keyring nothing is checked. `forged` is the first that does not hold."""

    def __init__(self, keyring: Keyring | None) -> None:
        self._keyring = keyring
        self.checked = 0
        self.forged: tuple[int, str] | None = None

    def check(self, payload: JsonMapping, index: int) -> None:
        kind = payload.get("type")
        if self._keyring is None or kind not in OBEYED or payload.get("stream") != OBEYED[kind]:
            return
        message = payload.get("message")
        if message is None:
            return
        try:
            self._keyring.verify(msgspec.convert(message, Envelope, strict=False))
            self.checked += 1
        except (InvalidMessage, msgspec.ValidationError) as error:
            self.forged = self.forged or (index, f"{kind} at record {index} is forged: {error}")
