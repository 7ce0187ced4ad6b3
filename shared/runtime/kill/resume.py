"""Writing the record that clears kills: never more than its author has seen, never backwards.

Called by the console. A kill that arrives meanwhile stands.
"""

from shared.domain.errors import InvalidMessage, TransientError, UserError
from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.bus.protocol import KillView, entry_order
from shared.runtime.bus.redis_bus import KILL_READS, kill_view_of
from shared.runtime.bus.redis_connection import RedisConnection, value_of
from shared.runtime.kill.record import ResumeCheck, write_record
from shared.schemas.envelope import Envelope
from shared.schemas.messages import KillCleared
from shared.schemas.streams import KILL_RESUME

USAGE = 64
# Another console, or a test, may write between the look and the write; not ten times in a row.
MOST_TRIES = 10


def resume(
    connection: RedisConnection, envelope: Envelope, cleared: KillCleared, check: ResumeCheck
) -> None:
    """Put a signed `KillCleared` into the resume key, unless as much is cleared already.

    Raises UserError if the log is gone or does not reach so far, or if no service would obey.
    """
    _refuse_unobeyed(envelope, check)
    for _ in range(MOST_TRIES):
        _, *looks = connection.ask(("WATCH", KILL_RESUME), *KILL_READS)
        if not would_clear(kill_view_of(*looks), cleared.cleared_id, check):
            connection.one("UNWATCH")
            return
        write = ("HSET", KILL_RESUME, *_fields(envelope, cleared))
        if value_of(connection.ask(("MULTI",), write, ("EXEC",))[-1]) is not None:
            return
    raise TransientError("others are resuming at the same moment")


def _refuse_unobeyed(envelope: Envelope, check: ResumeCheck) -> None:
    try:
        check.cleared_id(write_record(envelope))
    except InvalidMessage as error:
        raise UserError(
            f"No service would obey this resume: {error}. "
            "Resume with the key that the stack's init-secrets job made for the console."
        ) from error


def _fields(envelope: Envelope, cleared: KillCleared) -> tuple[str, ...]:
    """`record` is what latches read; `cleared_id` is for people who look with redis-cli."""
    return ("record", write_record(envelope), "cleared_id", cleared.cleared_id)


def would_clear(view: KillView, seen_id: str, check: ResumeCheck) -> bool:
    """False if as much is cleared already; raises UserError for what nobody can have seen."""
    if view.last_id is None:
        raise UserError(
            "The kill log is absent from Redis: everything stays halted. "
            "Write a kill first (`kobe kill`), then resume from that."
        )
    try:
        seen = entry_order(seen_id)
    except ValueError:
        raise UserError(f"{seen_id!r} is not the id of a kill.", exit_code=USAGE) from None
    if seen > entry_order(view.last_id):
        raise UserError(
            f"The kill log ends at {view.last_id}; {seen_id} cannot have been seen.",
            exit_code=USAGE,
        )
    return seen > entry_order(check.obeyed_id(view))


def resume_in_memory(
    server: MemoryServer, envelope: Envelope, cleared: KillCleared, check: ResumeCheck
) -> None:
    """`resume` for a world of one process."""
    _refuse_unobeyed(envelope, check)
    with server.lock:
        if would_clear(server.kill_view(), cleared.cleared_id, check):
            names, values = _fields(envelope, cleared)[::2], _fields(envelope, cleared)[1::2]
            server.hash(KILL_RESUME).update(zip(names, values, strict=True))
