"""Where each service's kill latch stands, as the service itself reports it."""

from dataclasses import dataclass

from shared.runtime.bus.redis_connection import RedisConnection, pairs, value_of
from shared.runtime.kill.status import LatchStatus, from_hash
from shared.schemas.streams import ServiceName, latch_key, lease_key

SERVICES = tuple(name for name in ServiceName if name is not ServiceName.CONSOLE)

# Who can increase exposure: the gate approves orders, the executor sends them. A kill has to be
# confirmed by both.
DECISIVE = (ServiceName.RISK_GATE, ServiceName.EXECUTOR)


@dataclass(frozen=True, slots=True)
class ServiceLatch:
    """`status` is the report of the instance that holds the lease; None: nothing was reported."""

    service: ServiceName
    has_lease: bool
    status: LatchStatus | None

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.status.reasons if self.status else ()


def read_latches(redis: RedisConnection) -> list[ServiceLatch]:
    """Of every service that can halt. Raises TransientError."""
    holders = [
        value_of(answer)
        for answer in redis.ask(*(("HGET", lease_key(name), "instance") for name in SERVICES))
    ]
    reports = redis.ask(
        *(
            ("HGETALL", latch_key(name, holder or "nobody"))
            for name, holder in zip(SERVICES, holders, strict=True)
        )
    )
    return [
        ServiceLatch(name, holder is not None, from_hash(pairs(value_of(report))))
        for name, holder, report in zip(SERVICES, holders, reports, strict=True)
    ]


def services_with_connection(redis: RedisConnection) -> set[str]:
    """Services with a connection to Redis; one without can neither commit nor look at the latch."""
    lines = str(redis.one("CLIENT", "LIST")).splitlines()
    return {dict(word.partition("=")[::2] for word in line.split())["user"] for line in lines}
