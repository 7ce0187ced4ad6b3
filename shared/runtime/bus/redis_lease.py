"""The lease of a service in Redis: who may commit, under which fence.

`kobe:lease:<service>` is a hash {instance, fence} that lives 15 s; the fence counter lives in the
state, for ever. Used by RedisBus. It never prolongs a lease without having seen, under WATCH, that
it is still its own.
"""

from shared.domain.errors import InvariantBroken
from shared.runtime.bus.protocol import Fenced, StateRecord
from shared.runtime.bus.redis_connection import RedisConnection, pairs, value_of
from shared.runtime.clock import Clock, SystemClock
from shared.schemas.streams import ServiceName, lease_key, state_key

# Longer than a POST (5 s) and its margin (7 s) together; a crash costs others at most this long.
LEASE_SECONDS = 15.0
RESERVED = ("version", "fence")


def record_of(fields: dict[str, str]) -> StateRecord:
    """A state hash as it stands; without `version` or `fence` it has never been written."""
    rest = {name: value for name, value in fields.items() if name not in RESERVED}
    try:
        return StateRecord(rest, int(fields.get("version", 0)), int(fields.get("fence", 0)))
    except ValueError as error:
        raise InvariantBroken(f"the state's version or fence is no number: {error}") from error


class RedisLease:
    def __init__(
        self,
        connection: RedisConnection,
        service: ServiceName,
        instance: str,
        *,
        seconds: float = LEASE_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._connection = connection
        self._key, self._state = lease_key(service), state_key(service)
        self._instance, self._seconds = instance, seconds
        self._clock = clock or SystemClock()
        self._until = 0.0
        self.fence = 0

    @property
    def key(self) -> str:
        return self._key

    @property
    def left(self) -> float:
        """Seconds for which the lease is surely ours."""
        return max(0.0, self._until - self._clock.monotonic())

    def acquire(self) -> StateRecord | None:
        """The state if the lease is free or was this instance's own; None while it is another's."""
        asked_at = self._clock.monotonic()
        watch = ("WATCH", self._state, self._key)
        answers = self._connection.ask(watch, ("HGETALL", self._key), ("HGETALL", self._state))
        holder, state = (pairs(value_of(answer)) for answer in answers[1:])
        if holder and holder.get("instance") != self._instance:
            self._connection.one("UNWATCH")
            return None
        record = record_of(state)
        fence = record.fence + 1
        if not self._take(fence):
            return None
        self.fence, self._until = fence, asked_at + self._seconds
        return StateRecord(record.fields, record.version, fence)

    def _take(self, fence: int) -> bool:
        answers = self._connection.ask(
            ("MULTI",),
            ("HSET", self._state, "fence", fence),
            ("HSET", self._key, "instance", self._instance, "fence", fence),
            self._prolong(),
            ("EXEC",),
        )
        return value_of(answers[-1]) is not None

    def renew(self) -> None:
        """Prolong it; raises Fenced if it is not ours any more."""
        for _ in range(3):
            asked_at = self._clock.monotonic()
            self._see_it_is_ours()
            if (
                value_of(self._connection.ask(("MULTI",), self._prolong(), ("EXEC",))[-1])
                is not None
            ):
                self._until = asked_at + self._seconds
                return
        raise Fenced("the lease moves under every renewal")

    def release(self) -> None:
        """Let a standby in at once; nothing happens if the lease is another's by now."""
        try:
            self._see_it_is_ours()
            self._connection.ask(("MULTI",), ("HDEL", self._key, "instance", "fence"), ("EXEC",))
        except Fenced:
            pass
        self._until = 0.0

    def check(self, flat: list[str]) -> None:
        """Check an HGETALL read under WATCH; raises Fenced unless it is ours under our fence."""
        if pairs(flat) != {"instance": self._instance, "fence": str(self.fence)}:
            self._until = 0.0
            raise Fenced("the lease is lost: it has run out or another instance holds it")

    def _see_it_is_ours(self) -> None:
        _, held = self._connection.ask(("WATCH", self._key), ("HGETALL", self._key))
        try:
            self.check(value_of(held))
        except Fenced:
            self._connection.one("UNWATCH")
            raise

    def _prolong(self) -> tuple[str, str, int]:
        return ("PEXPIRE", self._key, int(self._seconds * 1000))
