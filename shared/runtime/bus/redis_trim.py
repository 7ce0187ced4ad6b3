"""Dropping what everybody has read from a stream. Called by its writer through RedisBus.trim.

Never past the auditor's position (`position:<stream>` in the auditor's state), never past an entry
a group has still to see or to acknowledge; when either is unknown, nothing is dropped.
"""

from typing import Any

from redis.exceptions import ResponseError

from shared.runtime.bus.protocol import entry_order
from shared.runtime.bus.redis_connection import RedisConnection, pairs, value_of
from shared.schemas.streams import ServiceName, Stream, state_key


def trim_before(connection: RedisConnection, stream: Stream, before: str) -> int:
    position, groups = connection.ask(
        ("HGET", state_key(ServiceName.AUDITOR), f"position:{stream.value}"),
        ("XINFO", "GROUPS", stream.key),
    )
    position = value_of(position)
    if isinstance(groups, ResponseError) or position is None:
        return 0
    bounds = [before, position.strip('"'), *(_group_bound(pairs(group)) for group in groups)]
    return int(connection.one("XTRIM", stream.key, "MINID", min(bounds, key=entry_order)))


def audit_progress(connection: RedisConnection, stream: Stream) -> tuple[str, str]:
    """How far the auditor has recorded a stream, and how far any reader has been given it.

    "0" where there is nothing yet.
    """
    position, groups = connection.ask(
        ("HGET", state_key(ServiceName.AUDITOR), f"position:{stream.value}"),
        ("XINFO", "GROUPS", stream.key),
    )
    if isinstance(groups, ResponseError):
        return "0", "0"
    delivered = [str(pairs(group)["last-delivered-id"]) for group in groups]
    recorded = str(value_of(position) or "0").strip('"')
    return recorded, max(delivered, key=entry_order, default="0")


def _group_bound(group: dict[str, Any]) -> str:
    """Up to where a group has surely finished: nowhere while anything is pending."""
    return "0" if int(group["pending"]) else str(group["last-delivered-id"])
