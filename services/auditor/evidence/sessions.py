"""Which settings and which code each session ran with, as every message of the chain says.

Called by `kobe config pins`, on a chain verified before.
"""

from pathlib import Path

import msgspec

from services.auditor.chain.day_files import whole_lines


class SessionPins(msgspec.Struct, frozen=True, kw_only=True):
    """More than one of either: something was changed while the session ran."""

    session: str
    config_pins: tuple[str, ...]
    code_digests: tuple[str, ...]

    @property
    def is_mixed(self) -> bool:
        return len(self.config_pins) > 1 or len(self.code_digests) > 1


class _Message(msgspec.Struct):
    session: str = ""
    config_pin: str = ""
    code_digest: str = ""
    writer: str = ""


class _Payload(msgspec.Struct):
    message: _Message | None = None


class _Record(msgspec.Struct):
    payload: _Payload


_READ = msgspec.json.Decoder(_Record)
# The operator's command line may be newer than the stack: its word decides no trade.
_CONSOLE = "console"


def session_pins(folder: Path) -> list[SessionPins]:
    """One row a session, oldest first."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for line in whole_lines(folder):
        message = _READ.decode(line).payload.message
        if message and message.session and message.writer != _CONSOLE:
            pins, digests = found.setdefault(message.session, (set(), set()))
            pins.add(message.config_pin)
            digests.add(message.code_digest)
    return [
        SessionPins(
            session=session,
            config_pins=tuple(sorted(pins - {""})),
            code_digests=tuple(sorted(digests - {""})),
        )
        for session, (pins, digests) in sorted(found.items())
    ]
