"""Makes the streams, their groups and the genesis of the kill, once in the life of a stack.

Called by the init-streams job and by tests. The kill keys are written once, guarded by a marker
file on a volume of its own: a Redis that lost its data after that stays without them, and a missing
key halts everybody.
"""

from pathlib import Path

from redis.exceptions import ResponseError

from shared.runtime.atomic_file import write_file
from shared.runtime.bus.redis_connection import RedisConnection, value_of
from shared.schemas.streams import GENESIS, GENESIS_ID, KILL_LOG, KILL_RESUME, READS


def init_streams(connection: RedisConnection, marker: Path) -> bool:
    """Groups wherever they are missing, at the beginning; True if the genesis was written now.

    Raises TransientError when the server is away. Safe to run again at every start.
    """
    for service, streams in READS.items():
        for stream in streams:
            _ensure_group(connection, stream.key, service.value)
    if marker.exists():
        return False
    _write_genesis(connection)
    write_file(
        marker, "The kill's genesis was written; without it in Redis everything stays halted.\n"
    )
    return True


def _ensure_group(connection: RedisConnection, key: str, group: str) -> None:
    answer = connection.ask(("XGROUP", "CREATE", key, group, "0", "MKSTREAM"))[0]
    if isinstance(answer, ResponseError) and not str(answer).startswith("BUSYGROUP"):
        value_of(answer)


def _write_genesis(connection: RedisConnection) -> None:
    """An interrupted first run may leave the log without its key; what is there is kept."""
    if not connection.one("EXISTS", KILL_LOG):
        connection.one("XADD", KILL_LOG, GENESIS_ID, "by", "init", "why", GENESIS)
    connection.one("HSETNX", KILL_RESUME, "record", GENESIS)
