"""The map of the house: who writes what on which stream, and who reads it. Read this first."""

from enum import StrEnum

from shared.schemas import messages as m


class ServiceName(StrEnum):
    """Kebab-case in Docker and Redis; the package is the same name in snake_case."""

    SCHEDULER = "scheduler"
    DATA_FETCHER = "data-fetcher"
    SIGNAL_ENGINE = "signal-engine"
    RISK_GATE = "risk-gate"
    EXECUTOR = "executor"
    AUDITOR = "auditor"
    CONSOLE = "console"


class Stream(StrEnum):
    SCHEDULE = "schedule"
    BARS = "bars"
    QUOTES = "quotes"
    REQUESTS = "requests"
    SIGNALS = "signals"
    ORDERS = "orders"
    EXECUTIONS = "executions"
    CONTROL = "control"
    AUDIT = "audit"

    @property
    def key(self) -> str:
        return f"kobe:{self.value}"


S = ServiceName

WRITER: dict[Stream, ServiceName] = {
    Stream.SCHEDULE: S.SCHEDULER,
    Stream.BARS: S.DATA_FETCHER,
    Stream.QUOTES: S.DATA_FETCHER,
    Stream.SIGNALS: S.SIGNAL_ENGINE,
    Stream.REQUESTS: S.RISK_GATE,
    Stream.ORDERS: S.RISK_GATE,
    Stream.EXECUTIONS: S.EXECUTOR,
    Stream.CONTROL: S.CONSOLE,
    Stream.AUDIT: S.AUDITOR,
}

# Consumer groups, in the order a batch is handled: what changes a service's picture comes before
# what asks about it. The auditor reads every stream by position, not as a group.
READS: dict[ServiceName, tuple[Stream, ...]] = {
    S.SCHEDULER: (Stream.CONTROL, Stream.EXECUTIONS),
    S.DATA_FETCHER: (
        Stream.CONTROL,
        Stream.EXECUTIONS,
        Stream.SCHEDULE,
        Stream.SIGNALS,
        Stream.REQUESTS,
    ),
    S.SIGNAL_ENGINE: (Stream.CONTROL, Stream.EXECUTIONS, Stream.SCHEDULE, Stream.BARS),
    S.RISK_GATE: (
        Stream.CONTROL,
        Stream.EXECUTIONS,
        Stream.SCHEDULE,
        Stream.BARS,
        Stream.SIGNALS,
        Stream.QUOTES,
    ),
    S.EXECUTOR: (Stream.CONTROL, Stream.BARS, Stream.SCHEDULE, Stream.ORDERS),
    S.AUDITOR: (),
    S.CONSOLE: (),
}

STREAM_OF: dict[type[m.Message], Stream] = {
    message: stream
    for stream, group in {
        Stream.SCHEDULE: (m.SessionOpened, m.BarsDue, m.ScanDue, m.ReconcileDue, m.SessionClosed),
        Stream.BARS: (m.BarsReady, m.CorporateActionsSeen),
        Stream.QUOTES: (m.QuotesSeen,),
        Stream.SIGNALS: (m.ScanCompleted,),
        Stream.ORDERS: (
            m.OrderApproved,
            m.OrderDenied,
            m.ScanDecided,
            m.TradingStateChanged,
        ),
        Stream.REQUESTS: (m.QuotesRequested,),
        Stream.EXECUTIONS: (
            m.OrderSubmitted,
            m.OrderFilled,
            m.OrderEnded,
            m.OrderUnknown,
            m.ProtectionPlaced,
            m.PositionAdjusted,
            m.PositionDisputed,
            m.PositionRescaled,
            m.PositionRenamed,
            m.FlatConfirmed,
            m.FlatNotConfirmed,
            m.AccountSeen,
            m.ScanExecuted,
        ),
        Stream.CONTROL: (
            m.ReconcileRequested,
            m.ActivateRequested,
            m.AdoptRequested,
            m.ReleaseRequested,
            m.DriftAcknowledged,
            m.KillCleared,
            m.KillDrilled,
        ),
        Stream.AUDIT: (m.BlockAppended, m.CheckpointSigned, m.CheckpointCosigned),
    }.items()
    for message in group
}

MESSAGE_TYPES: dict[str, type[m.Message]] = {message.__name__: message for message in STREAM_OF}

# The keys of the kill (docs/order-path.md) and the dead-letter stream; any service may append to
# the log and to the dead letters.
KILL_CHANNEL = "kobe:kill"
KILL_LOG = "kobe:kill:log"
KILL_RESUME = "kobe:kill:resume"
# The log's very first entry, and what stands in the resume key before the first resume: it clears
# nothing, for every kill has a later id. So it needs no signature.
GENESIS_ID = "0-1"
GENESIS = "genesis"
DEAD = "kobe:dead"
# Requests left with a vendor, one key for each vendor and account, shared by all that ask it.
VENDOR_BUDGET = "kobe:vendor:"


def state_key(service: ServiceName) -> str:
    return f"kobe:state:{service.value}"


def lease_key(service: ServiceName) -> str:
    return f"kobe:lease:{service.value}"


def latch_key(service: ServiceName, instance: str) -> str:
    """Where an instance's kill latch reports what it knows."""
    return f"kobe:latch:{service.value}:{instance}"


def package_of(service: ServiceName) -> str:
    """`risk-gate` lives in `services.risk_gate`."""
    return service.value.replace("-", "_")
