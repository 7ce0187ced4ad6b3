"""Clearing kills: what there is to clear, one signed record, then the services' own word."""

import datetime as dt
import time
from pathlib import Path

import msgspec

from services.console.kill_switch.order import BY_COMMAND, KillNote
from services.console.stack.client import StackClient
from services.console.stack.control_writer import send_control
from services.console.stack.latches import DECISIVE, read_latches
from services.console.stack.operator_key import OperatorKey
from shared.domain.errors import UserError
from shared.runtime.atomic_file import remove_file
from shared.runtime.bus.protocol import KillView, entry_order
from shared.runtime.bus.redis_connection import pairs
from shared.runtime.kill.resume import resume, would_clear
from shared.schemas.messages import KillCleared
from shared.schemas.streams import KILL_LOG

# A kill is written by every service, so ten of them are some seventy entries.
MOST_SHOWN = 100
# A latch looks ten times a second.
CONFIRM_SECONDS = 1.0
POLL_SECONDS = 0.02


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the kill log that nobody has cleared yet."""

    id: str
    at: dt.datetime
    by: str
    why: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What halts the stack now. `file` is the kill file's path if it is there."""

    mode: str
    account: str
    last_id: str
    kills: list[Kill]
    file: str
    reasons: dict[str, tuple[str, ...]]

    @property
    def is_halted(self) -> bool:
        return bool(self.kills or self.file or self.reasons)


class Resumption(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a resume: the services that run again, and why the others do not."""

    cleared_id: str
    running: list[str]
    halted: dict[str, tuple[str, ...]]
    down: list[str]


class Resumer:
    """The operator before one stack."""

    def __init__(self, client: StackClient) -> None:
        """Raises UserError if the operator's key is missing or no service has ever spoken."""
        self._client = client
        self._key = OperatorKey.load(client.address)
        self._identity = client.identity()
        self._check = self._key.check(self._identity)

    def standing(self) -> Standing:
        """Everything that halts, newest kill last."""
        view = self._client.kill_view()
        file = Path(self._client.address.kill_file)
        latches = read_latches(self._client.redis)
        return Standing(
            mode=self._identity.mode.value,
            account=self._identity.account,
            last_id=view.last_id or "",
            kills=self._open_kills(view),
            file=str(file.absolute()) if file.exists() else "",
            reasons={latch.service.value: latch.reasons for latch in latches if latch.reasons},
        )

    def _open_kills(self, view: KillView) -> list[Kill]:
        """What the record in force does not clear; all of it if none is in force."""
        after = self._check.obeyed_id(view)
        entries = self._client.redis.one(
            "XREVRANGE", KILL_LOG, "+", f"({after}", "COUNT", MOST_SHOWN
        )
        return [_kill(entry_id, pairs(flat)) for entry_id, flat in reversed(entries)]

    def clear(self, seen_id: str, *, by: str, why: str) -> Resumption:
        """Remove the kill file if `kobe kill` wrote it, clear up to the kill seen, look who runs.

        Raises UserError if somebody else put the file there, or if the id cannot have been seen.
        """
        would_clear(self._client.kill_view(), seen_id, self._check)
        remove_own_kill_file(Path(self._client.address.kill_file))
        message = KillCleared(
            cleared_id=seen_id,
            by=by,
            why=why,
            kills=tuple(
                kill.id
                for kill in self.standing().kills
                if entry_order(kill.id) <= entry_order(seen_id)
            ),
        )
        envelope = send_control(self._client, message)
        resume(self._client.redis, envelope, message, self._check)
        return self._await_running(seen_id)

    def _await_running(self, seen_id: str) -> Resumption:
        until = time.monotonic() + CONFIRM_SECONDS
        while True:
            latches = [latch for latch in read_latches(self._client.redis) if latch.has_lease]
            is_over = time.monotonic() > until
            if is_over or all(latch.status and not latch.reasons for latch in latches):
                break
            time.sleep(POLL_SECONDS)
        alive = {latch.service for latch in latches}
        return Resumption(
            cleared_id=seen_id,
            running=[latch.service.value for latch in latches if not latch.reasons],
            halted={latch.service.value: latch.reasons for latch in latches if latch.reasons},
            down=[name.value for name in DECISIVE if name not in alive],
        )


def remove_own_kill_file(file: Path) -> None:
    """Remove what `kobe kill` wrote; a file put there by hand is its owner's to remove.

    Raises UserError for that, and if it cannot be removed.
    """
    try:
        note = msgspec.json.decode(file.read_bytes(), type=KillNote)
        if note.by == BY_COMMAND:
            remove_file(file)
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(
            f"The kill file {file} cannot be removed: {error.strerror}. Remove it, then resume."
        ) from error
    except msgspec.MsgspecError:
        pass
    raise UserError(
        f"The kill file {file} was put there by hand; whoever did it must remove it. Then resume."
    )


def _kill(entry_id: str, fields: dict[str, str]) -> Kill:
    at = dt.datetime.fromtimestamp(entry_order(entry_id)[0] / 1000, dt.UTC)
    return Kill(id=entry_id, at=at, by=fields.get("by", ""), why=fields.get("why", ""))
