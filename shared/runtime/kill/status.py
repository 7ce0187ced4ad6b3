"""What each latch reports of itself, so that "halted" is read from the services and not assumed.

Written by every latch to `kobe:latch:<service>:<instance>`; read by `kobe kill`, `kobe status` and
the console.
"""

import datetime as dt
from collections.abc import Mapping

import msgspec

from shared.schemas.values import Mode

# Twice the pause between two reports that say the same: a report that is older is of the dead.
LIVES_SECONDS = 10.0
REPORT_SECONDS = 4.0


class LatchStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`seen_id` is the last entry of the kill log this latch has taken into account."""

    mode: Mode
    account: str
    seen_id: str
    reasons: tuple[str, ...]
    at: dt.datetime

    @property
    def is_halted(self) -> bool:
        return bool(self.reasons)


def to_hash(status: LatchStatus) -> dict[str, str]:
    """Flat fields, readable with HGETALL."""
    return {"status": msgspec.json.encode(status).decode()}


def from_hash(fields: Mapping[str, str]) -> LatchStatus | None:
    """None if there is no report, or none that can be read."""
    try:
        return msgspec.json.decode(fields.get("status", ""), type=LatchStatus)
    except msgspec.MsgspecError:
        return None
