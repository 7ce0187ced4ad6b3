"""Clearing kills: the operator's right alone, and never more than the operator has seen.

Called by the console. A kill that arrives meanwhile stands.
"""

from __future__ import annotations

from shared.domain.errors import TransientError, UserError
from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.bus.protocol import KillView, entry_order
from shared.runtime.bus.redis_bus import KILL_READS, kill_view_of
from shared.runtime.bus.redis_connection import RedisConnection, value_of
from shared.runtime.kill.latch import readable
from shared.schemas.streams import KILL_RESUME


def resume(connection: RedisConnection, seen_id: str, *, by: str, why: str) -> None:
    """Clear the kills up to the one the author saw; later ones stand.

    Raises UserError if the kill's keys are gone or `seen_id` lies beyond the log's end.
    """
    for _ in range(10):
        _, *looks = connection.ask(("WATCH", KILL_RESUME), *KILL_READS)
        if not may_clear(kill_view_of(*looks), seen_id):
            connection.one("UNWATCH")
            return
        write = (
            "HSET",
            KILL_RESUME,
            "cleared_id",
            seen_id,
            "by",
            readable(by),
            "why",
            readable(why),
        )
        if value_of(connection.ask(("MULTI",), write, ("EXEC",))[-1]) is not None:
            return
    raise TransientError("others are resuming at the same moment")


def may_clear(view: KillView, seen_id: str) -> bool:
    """False if as much was cleared already; raises UserError for a kill that nobody can have seen."""
    if view.last_id is None or view.cleared_id is None:
        raise UserError(
            "The kill's keys are absent from Redis: everything stays halted, nothing can be resumed."
        )
    try:
        seen = entry_order(seen_id)
    except ValueError:
        raise UserError(f"{seen_id!r} is not the id of a kill.", exit_code=64) from None
    if seen > entry_order(view.last_id):
        raise UserError(
            f"The kill log ends at {view.last_id}; {seen_id} cannot have been seen.", exit_code=64
        )
    return seen > entry_order(view.cleared_id)


def resume_in_memory(server: MemoryServer, seen_id: str, *, by: str, why: str) -> None:
    """`resume` for a world of one process."""
    with server.lock:
        if may_clear(server.kill_view(), seen_id):
            server.hash(KILL_RESUME).update(cleared_id=seen_id, by=readable(by), why=readable(why))
