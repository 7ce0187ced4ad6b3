"""Is this Redis fit to hold orders? Checked before anything is written to it.

The init-streams job asks for everything (its user may read the configuration); a service asks what
INFO tells.
"""

import re

from redis.exceptions import ResponseError

from shared.domain.errors import UserError
from shared.runtime.bus.redis_connection import RedisConnection, info_of, pairs
from shared.schemas.values import Mode

UNFIT = 3
OLDEST_REDIS, OLDEST_VALKEY = (7, 0), (7, 2)
WANTED = {
    "appendonly": ("yes", "or a restart would lose every order"),
    "appendfsync": ("always", "or a crash would lose the last second of orders"),
    "maxmemory-policy": ("noeviction", "or Redis would throw state away when memory is short"),
    "proto-max-bulk-len": ("1048576", "or an oversized kill would cut off everybody who listens"),
}


def refuse_unfit(connection: RedisConnection, mode: Mode) -> None:
    """Raises UserError naming everything that is wrong; needs `config|get` and `acl|getuser`."""
    wrong = _version(connection) + _configuration(connection, mode) + _default_user(connection)
    if wrong:
        raise UserError(
            " ".join(["This Redis is not set up to hold orders.", *wrong]), exit_code=UNFIT
        )


def refuse_unfit_by_info(connection: RedisConnection) -> None:
    """Check what any service's user can see; raises UserError naming what is wrong."""
    wrong = _version(connection)
    facts = info_of(connection, "persistence") | info_of(connection, "memory")
    if facts.get("aof_enabled") != "1":
        wrong.append("appendonly must be yes.")
    if facts.get("maxmemory_policy") != "noeviction":
        wrong.append("maxmemory-policy must be noeviction.")
    if wrong:
        raise UserError(
            " ".join(["This Redis is not set up to hold orders.", *wrong]), exit_code=UNFIT
        )


def _version(connection: RedisConnection) -> list[str]:
    facts = info_of(connection, "server")
    is_valkey = "valkey_version" in facts
    version = facts.get("valkey_version" if is_valkey else "redis_version", "0.0")
    oldest = OLDEST_VALKEY if is_valkey else OLDEST_REDIS
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) >= oldest:
        return []
    name = "Valkey" if is_valkey else "Redis"
    return [f"{name} {version} is too old; at least {oldest[0]}.{oldest[1]} is needed."]


def _configuration(connection: RedisConnection, mode: Mode) -> list[str]:
    wanted = dict(WANTED)
    if mode is Mode.LIVE:
        wanted["aof-load-truncated"] = ("no", "or a cut log would be loaded as if it were whole")
    wrong = []
    for name, (value, why) in wanted.items():
        found = _setting(connection, name)
        if found != value:
            wrong.append(f"{name} is {found or 'unset'} and must be {value}, {why}.")
    if not _setting(connection, "aclfile"):
        wrong.append("No ACL file is loaded (aclfile), so anybody could write orders.")
    return wrong


def _default_user(connection: RedisConnection) -> list[str]:
    """It must not log in, and must keep all rights: Redis 7.0 replays its log as this user."""
    answer = connection.ask(("ACL", "GETUSER", "default"))[0]
    user = (
        {}
        if isinstance(answer, ResponseError) or answer is None
        else dict(zip(answer[::2], answer[1::2], strict=True))
    )
    wrong = []
    if "off" not in user.get("flags", ()):
        wrong.append("The user default can log in; it must be off.")
    if "+@all" not in str(user.get("commands")) or user.get("keys") not in ("~*", ["*"]):
        wrong.append(
            "The user default is short of rights, so a restart could lose transactions; "
            "give it ~* &* +@all."
        )
    return wrong


def _setting(connection: RedisConnection, name: str) -> str:
    return pairs(connection.one("CONFIG", "GET", name)).get(name, "")
