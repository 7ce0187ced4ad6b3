"""Who may do what in Redis: a table of users, and the ACL file made from it.

Used by the init-secrets job and by the test that tries every user x command x key. A selector
allows its commands on its keys only, so that a reader of a stream can acknowledge in it and still
not forge into it. Commands of Redis 7.0.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shared.schemas.streams import (
    DEAD,
    KILL_CHANNEL,
    KILL_LOG,
    KILL_RESUME,
    READS,
    VENDOR_BUDGET,
    WRITER,
    ServiceName,
    Stream,
    latch_key,
    lease_key,
    state_key,
)

CONSOLE, INIT, KILL, RESEARCH = ServiceName.CONSOLE.value, "init", "kill", "research"
STREAMS = tuple(stream.key for stream in Stream)
LOGS = (KILL_LOG, DEAD)
VENDOR_BUDGETS = f"{VENDOR_BUDGET}*"
LATCHES = tuple(latch_key(service, "*") for service in ServiceName)
STATES = tuple(key(service) for service in ServiceName for key in (state_key, lease_key))

# Redis 7.0 loses every MULTI when it reloads its AOF if `default` may not run the commands; `off`
# keeps people out.
DEFAULT_USER = "user default off resetpass ~* &* +@all"
KEYLESS = ("ping", "hello", "auth", "multi", "exec", "discard", "unwatch", "time", "info")
LISTENING = ("subscribe", "unsubscribe", "client|id", "client|list")

RQ_KINDS = (
    "@hash",
    "@string",
    "@list",
    "@set",
    "@sortedset",
    "@stream",
    "@transaction",
    "@scripting",
    "-@dangerous",
)
RQ_KEYS = (
    "exists",
    "del",
    "unlink",
    "expire",
    "expireat",
    "pexpire",
    "ttl",
    "pttl",
    "persist",
    "rename",
    "scan",
)
RQ_SESSION = (
    "ping",
    "hello",
    "auth",
    "select",
    "info",
    "client|id",
    "client|setname",
    "client|list",
    "client|info",
)
RQ_COMMANDS = (*RQ_KINDS, *RQ_KEYS, *RQ_SESSION)


@dataclass(frozen=True, slots=True)
class Grant:
    """These commands on these keys; `access` "" is read and write, "R" read, "W" write only."""

    commands: tuple[str, ...]
    keys: tuple[str, ...]
    access: str = ""

    def text(self) -> str:
        prefix = f"%{self.access}~" if self.access else "~"
        patterns = (f"{prefix}{key}" for key in self.keys)
        return f"({' '.join((*patterns, *(_rule(command) for command in self.commands)))})"


@dataclass(frozen=True, slots=True)
class User:
    """`keyless` commands need no key; `channels` are what it may publish to or subscribe."""

    name: str
    keyless: tuple[str, ...]
    grants: tuple[Grant, ...] = ()
    channels: tuple[str, ...] = (KILL_CHANNEL,)
    nopass: bool = False

    def line(self, password: str = "") -> str:
        """One line of an ACL file; only the password's digest stands in it."""
        secret = "nopass" if self.nopass else f"#{hashlib.sha256(password.encode()).hexdigest()}"
        channels = [f"&{channel}" for channel in self.channels]
        commands = [_rule(command) for command in self.keyless]
        selectors = [grant.text() for grant in self.grants]
        return " ".join(
            [
                "user",
                self.name,
                "on",
                secret,
                "resetchannels",
                *channels,
                "-@all",
                *commands,
                *selectors,
            ]
        )


def _rule(command: str) -> str:
    return command if command.startswith("-") else f"+{command}"


def _service(service: ServiceName) -> User:
    own = (state_key(service), lease_key(service))
    watched = (*own, KILL_LOG, KILL_RESUME)
    grants = [
        Grant(("xadd",), LOGS, "W"),
        Grant(("hget", "hset", "hgetall", "hdel", "pexpire", "pttl"), own),
        Grant(("xinfo|stream", "exists", "xrevrange"), (KILL_LOG,), "R"),
        Grant(("hget",), (KILL_RESUME, state_key(ServiceName.AUDITOR)), "R"),
        Grant(("hset", "pexpire"), (latch_key(service, "*"),)),
        Grant(("watch",), watched, "R"),
    ]
    read = tuple(stream.key for stream in READS[service])
    if read:
        grants.append(Grant(("xreadgroup", "xack", "xautoclaim", "xpending"), read))
    written = tuple(stream.key for stream in Stream if WRITER[stream] is service)
    if written:
        grants.append(Grant(("xadd",), written, "W"))
        grants.append(Grant(("xtrim", "xinfo|groups"), written))
    return User(service.value, (*KEYLESS, *LISTENING), tuple(grants))


def _vendor_budgets() -> tuple[Grant, ...]:
    """What all processes that ask a vendor with one key share: how many requests are left."""
    return (
        Grant(("get", "set"), (VENDOR_BUDGETS,)),
        Grant(("watch",), (VENDOR_BUDGETS,), "R"),
    )


def _data_fetcher() -> User:
    own = _service(ServiceName.DATA_FETCHER)
    return User(own.name, own.keyless, (*own.grants, *_vendor_budgets()))


def _auditor() -> User:
    """Reads every stream by position; no groups, so it can take no entry away from anybody.

    It also watches the server: what was refused, and who holds connections without a login.
    """
    own = _service(ServiceName.AUDITOR)
    reading = Grant(("xrange", "xrevrange", "xlen", "xinfo|stream"), (*STREAMS, *LOGS), "R")
    return User(own.name, (*own.keyless, "acl|log", "client|kill"), (*own.grants, reading))


def _console() -> User:
    """The operator: sees all, speaks on `control`, kills and resumes."""
    own = _service(ServiceName.CONSOLE)
    looking = Grant(
        ("xrange", "xrevrange", "xlen", "xinfo|stream", "xinfo|groups", "exists"),
        (*STREAMS, *LOGS),
        "R",
    )
    states = Grant(("hget", "hgetall", "exists", "pttl"), (*STATES, *LATCHES, KILL_RESUME), "R")
    resuming = Grant(("hset",), (KILL_RESUME,))
    return User(
        own.name,
        (*own.keyless, "publish", "acl|log"),
        (*own.grants, looking, states, resuming, *_vendor_budgets()),
    )


def _init() -> User:
    """Makes streams, groups and the kill's genesis, and checks how the server is set up."""
    return User(
        INIT,
        (*KEYLESS, "config|get", "acl|getuser"),
        (
            Grant(("xgroup|create",), STREAMS),
            Grant(("xadd",), (KILL_LOG,), "W"),
            Grant(("exists",), (KILL_LOG,), "R"),
            # Never `hset`: what stands there is the operator's.
            Grant(("hsetnx",), (KILL_RESUME,)),
        ),
        channels=(),
    )


def _research() -> User:
    """RQ's own corner: jobs, never orders. Paper and live give it a Redis of its own."""
    return User(RESEARCH, ("@pubsub",), (Grant(RQ_COMMANDS, ("rq:*",)),), channels=("rq:*",))


def users() -> tuple[User, ...]:
    special = {
        ServiceName.AUDITOR: _auditor,
        ServiceName.CONSOLE: _console,
        ServiceName.DATA_FETCHER: _data_fetcher,
    }
    services = (special[name]() if name in special else _service(name) for name in ServiceName)
    return (*services, _init(), _research(), User(KILL, ("ping", "publish"), nopass=True))


def acl_file(passwords: Mapping[str, str]) -> str:
    """The whole file, one line a user; a user without a password does not exist."""
    return "\n".join([DEFAULT_USER, *_lines(passwords)]) + "\n"


def _lines(passwords: Mapping[str, str]) -> Iterator[str]:
    for user in users():
        if user.nopass or passwords.get(user.name):
            yield user.line(passwords.get(user.name, ""))
