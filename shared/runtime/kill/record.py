"""The record that clears kills: what it must be to be obeyed, and what the latch's two keys mean.

`kobe:kill:resume` holds a signed `KillCleared` of the operator, verbatim as it stands on the
control stream. Every service checks it with the key it has pinned; whatever else stands there
halts. Pure.
"""

from dataclasses import dataclass, field

import msgspec

from shared.domain.errors import InvalidMessage
from shared.runtime.bus.protocol import KillView, entry_order
from shared.runtime.signing import Keyring
from shared.schemas.envelope import Envelope, Malformed, canonical, from_fields, to_fields
from shared.schemas.messages import KillCleared
from shared.schemas.streams import GENESIS, GENESIS_ID, ServiceName
from shared.schemas.values import Mode

KEYS_ABSENT = "kill keys absent"
NOTHING = "0-0"


@dataclass(frozen=True, slots=True)
class ResumeCheck:
    """Whose records a process obeys: signed by the console, for its own mode and account."""

    mode: Mode
    account: str
    keyring: Keyring = field(default_factory=lambda: Keyring({}, {}))

    def cleared_id(self, record: str) -> str:
        """Up to which kill a record clears.

        Raises InvalidMessage if it is not the operator's own, or not for this stack.
        """
        if record == GENESIS:
            return GENESIS_ID
        envelope, message = read_record(record)
        if envelope.writer is not ServiceName.CONSOLE:
            raise InvalidMessage(f"it was written by {envelope.writer}, not by the operator")
        if (envelope.mode, envelope.account) != (self.mode, self.account):
            raise InvalidMessage(f"it is for {envelope.mode} {envelope.account}")
        self.keyring.verify(envelope)
        return message.cleared_id

    def obeyed_id(self, view: KillView) -> str:
        """Up to which kill it is cleared now; before all of them if no record is obeyed."""
        try:
            cleared = self.cleared_id(view.record or "")
            is_beyond = view.last_id is None or entry_order(cleared) > entry_order(view.last_id)
        except (InvalidMessage, ValueError):
            return NOTHING
        return NOTHING if is_beyond else cleared

    def reason(self, view: KillView, why: str = "") -> str | None:
        """Why the two keys halt, or None; `why` stands in the log's last entry."""
        if view.last_id is None or view.record is None:
            return KEYS_ABSENT
        try:
            cleared, last = entry_order(self.cleared_id(view.record)), entry_order(view.last_id)
        except (InvalidMessage, ValueError) as error:
            return f"the resume record is refused: {error}"
        if cleared > last:
            return "the resume record clears kills beyond the end of the log"
        return f"killed: {why}" if last > cleared else None


def write_record(envelope: Envelope) -> str:
    """The text of the resume key."""
    return canonical(to_fields(envelope)).decode()


def read_record(record: str) -> tuple[Envelope, KillCleared]:
    """Raises InvalidMessage unless it is a `KillCleared` in its envelope, signed or not."""
    try:
        envelope, message = from_fields(msgspec.json.decode(record, type=dict[str, str]))
    except (Malformed, msgspec.MsgspecError, UnicodeError) as error:
        raise InvalidMessage(f"it is unreadable: {error}") from error
    if not isinstance(message, KillCleared):
        raise InvalidMessage(f"it is a {envelope.type}")
    return envelope, message
