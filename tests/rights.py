"""The rights in Redis as they are meant.

Written down by hand and not taken from the product's own table.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.runtime.bus.redis_connection import RedisConnection
from shared.schemas.streams import ServiceName

SERVICES = [service.value for service in ServiceName]

HEARS = {
    "scheduler": {"control", "executions"},
    "data-fetcher": {"control", "executions", "schedule", "signals", "requests"},
    "signal-engine": {"control", "executions", "schedule", "bars"},
    "risk-gate": {"control", "executions", "schedule", "bars", "signals", "quotes"},
    "executor": {"control", "bars", "schedule", "orders"},
}
SAYS = {
    "scheduler": {"schedule"},
    "data-fetcher": {"bars", "quotes"},
    "signal-engine": {"signals"},
    "risk-gate": {"orders", "requests"},
    "executor": {"executions"},
    "console": {"control"},
    "auditor": {"audit"},
}
STREAM_NAMES = (
    *("schedule", "bars", "signals", "quotes", "requests", "orders", "executions"),
    *("control", "audit"),
)
STREAM_KEYS = [f"kobe:{name}" for name in STREAM_NAMES]
LOGS = ["kobe:kill:log", "kobe:dead"]
STATE_KEYS = [f"kobe:{kind}:{name}" for name in SERVICES for kind in ("state", "lease")]
LATCH_KEYS = [f"kobe:latch:{name}:a" for name in SERVICES]
VENDOR_KEY = "kobe:vendor:massive:0a1b"
KEYS = [
    *STREAM_KEYS,
    *LOGS,
    "kobe:kill:resume",
    *STATE_KEYS,
    *LATCH_KEYS,
    VENDOR_KEY,
    "kobe:elsewhere",
    "rq:job:1",
]
LISTENING = {"client|id", "client|list"}
KEYLESS = {
    "ping",
    "hello",
    "auth",
    "multi",
    "exec",
    "discard",
    "unwatch",
    "time",
    "info",
    *LISTENING,
}
GROUP_COMMANDS = ("xreadgroup", "xack", "xautoclaim", "xpending")
OPEN_TO_ALL = {
    "auth",
    "hello",
    "reset",
    "quit",
    "multi",
    "exec",
    "discard",
}  # never refused by some server


def meant(user: str, command: str, key: str) -> bool:
    """Whether a command on a key is on the list."""
    stream = key.removeprefix("kobe:")
    own = key in (f"kobe:state:{user}", f"kobe:lease:{user}")
    if user == "kill":
        return False
    if user == "init":
        return (
            (command == "xgroup|create" and key in STREAM_KEYS)
            or (command in ("xadd", "exists") and key == "kobe:kill:log")
            or (command == "hsetnx" and key == "kobe:kill:resume")
        )
    rights = [
        command == "xadd"
        and (key in LOGS or (key in STREAM_KEYS and stream in SAYS.get(user, ()))),
        command in ("xtrim", "xinfo|groups")
        and key in STREAM_KEYS
        and stream in SAYS.get(user, ()),
        command in GROUP_COMMANDS and key in STREAM_KEYS and stream in HEARS.get(user, ()),
        command in ("hget", "hset", "hgetall", "hdel", "pexpire", "pttl", "watch") and own,
        command in ("xinfo|stream", "exists", "xrevrange", "watch") and key == "kobe:kill:log",
        command in ("hget", "watch") and key == "kobe:kill:resume",
        command == "hget" and key == "kobe:state:auditor",
        command in ("hset", "pexpire") and key == f"kobe:latch:{user}:a",
    ]
    if user in ("data-fetcher", "console"):
        rights.append(command in ("get", "set", "watch") and key == VENDOR_KEY)
    if user in ("auditor", "console"):
        rights.append(
            command in ("xrange", "xrevrange", "xlen", "xinfo|stream")
            and key in (*STREAM_KEYS, *LOGS)
        )
    if user == "console":
        rights.append(command in ("exists", "xinfo|groups") and key in (*STREAM_KEYS, *LOGS))
        rights.append(
            command in ("hget", "hgetall", "exists", "pttl")
            and key in (*STATE_KEYS, *LATCH_KEYS, "kobe:kill:resume")
        )
        rights.append(command == "hset" and key == "kobe:kill:resume")
    return any(rights)


def meant_keyless(user: str, command: str) -> bool:
    if user == "kill":
        return command == "ping"
    if user == "init":
        return command in {*(KEYLESS - LISTENING), "config|get", "acl|getuser"}
    special = {"console": {"acl|log"}, "auditor": {"acl|log", "client|kill"}}
    return command in {*KEYLESS, *special.get(user, ())}


@dataclass(frozen=True)
class Command:
    """`argv` has the key at `at`; 0: the command takes no key."""

    name: str
    argv: tuple[str, ...]
    at: int

    def on(self, key: str) -> tuple[str, ...]:
        return (*self.argv[: self.at], key, *self.argv[self.at + 1 :])


SPECIAL = {
    "xread": Command("xread", ("xread", "streams", "", "0"), 2),
    "xreadgroup": Command("xreadgroup", ("xreadgroup", "group", "g", "c", "streams", "", ">"), 5),
    "eval": Command("eval", ("eval", "return 1", "1", ""), 3),
    "eval_ro": Command("eval_ro", ("eval_ro", "return 1", "1", ""), 3),
    "evalsha": Command("evalsha", ("evalsha", "f" * 40, "1", ""), 3),
    "evalsha_ro": Command("evalsha_ro", ("evalsha_ro", "f" * 40, "1", ""), 3),
    "fcall": Command("fcall", ("fcall", "f", "1", ""), 3),
    "fcall_ro": Command("fcall_ro", ("fcall_ro", "f", "1", ""), 3),
}
WITH_CHANNELS = ("publish", "subscribe")


def commands_of(admin: RedisConnection) -> list[Command]:
    """Everything the server can do, with arguments enough to be understood."""
    found = []
    for info in admin.one("COMMAND"):
        # A container does nothing itself; its subcommands do.
        for name, arity, _flags, first_key, *_ in info[9] or [info]:
            parts = name.lower().split("|")
            length = max(abs(arity), first_key + 1)
            argv = (*parts, *["1"] * (length - len(parts)))
            found.append(SPECIAL.get(name.lower(), Command(name.lower(), argv, first_key)))
    return [command for command in found if not command.name.endswith(WITH_CHANNELS)]
