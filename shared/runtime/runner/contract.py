"""What a service is made of: a state, a table of pure handlers, and work that does what is due.

`services/<name>/__main__.py` fills in a Service and hands it to `shared/runtime/runner/runner.py`,
which runs it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from shared.domain.errors import InvariantBroken
from shared.runtime.observability.log import event_name
from shared.runtime.observability.samples import CounterSpec, MetricSample, no_samples
from shared.schemas.envelope import Envelope
from shared.schemas.messages import Message
from shared.schemas.streams import ServiceName

State = TypeVar("State", bound=msgspec.Struct)
StateIn = TypeVar("StateIn", bound=msgspec.Struct, contravariant=True)
M = TypeVar("M")
MessageIn = TypeVar("MessageIn", contravariant=True)
S = TypeVar("S")
SettingsIn = TypeVar("SettingsIn", contravariant=True)
SettingsOut = TypeVar("SettingsOut", covariant=True)


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why a handler runs: a message read from a stream, or the outcome of work.

    Outgoing messages inherit session, correlation and causation from it. `at` is when the trigger
    was written (aware, UTC): handlers take time from here, never from a clock. `envelope` is None
    for outcomes of work; `seq` is the writer's number of the message.
    """

    id: str
    at: dt.datetime
    session: dt.date
    correlation_id: str
    envelope: Envelope | None = None

    @classmethod
    def of(cls, envelope: Envelope) -> Trigger:
        return cls(envelope.id, envelope.at, envelope.session, envelope.correlation_id, envelope)

    @property
    def seq(self) -> int:
        return self.envelope.seq if self.envelope else 0


@dataclass(frozen=True, slots=True)
class Context(Generic[SettingsOut]):
    """What a pure handler may know besides its state and the message.

    `halted` holds the reasons of the kill latch; empty means: not halted.
    """

    settings: SettingsOut
    trigger: Trigger
    halted: tuple[str, ...] = ()

    @property
    def at(self) -> dt.datetime:
        return self.trigger.at


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that does not inherit the session or correlation of its trigger."""

    message: Message
    session: dt.date
    correlation_id: str


Decision = tuple[State, tuple[Message | Outgoing, ...]]


class Handler(Protocol[State, MessageIn, SettingsIn]):
    """A pure function of state and message; raises InvalidMessage for what cannot be believed."""

    def __call__(
        self, state: State, message: MessageIn, context: Context[SettingsIn], /
    ) -> Decision[State]: ...


# The same with any message or outcome: what stands in a table of handlers.
AnyHandler = Handler[State, object, S]
HandlerTable = Mapping[type, AnyHandler[State, S]]


def on(kind: type[M], handler: Handler[State, M, S]) -> tuple[type, AnyHandler[State, S]]:
    """One row of a handler table; mypy refuses a handler that does not take this kind."""

    def handle(state: State, message: object, context: Context[S], /) -> Decision[State]:
        if not isinstance(message, kind):
            raise InvariantBroken(f"{type(message).__name__} came to the handler of {kind}")
        return handler(state, message, context)

    return kind, handle


def handler_table(*rows: tuple[type, AnyHandler[State, S]]) -> HandlerTable[State, S]:
    """Message or outcome type -> handler; raises InvariantBroken if a type stands there twice."""
    table = dict(rows)
    if len(table) < len(rows):
        raise InvariantBroken("a message type has two handlers")
    return table


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a pending action: a frozen value of the service's own, handled as a message is.

    The type of `value` stands in the handler table too. Outgoing messages inherit `session` and
    `correlation_id`.
    """

    value: object
    at: dt.datetime
    session: dt.date
    correlation_id: str
    causation_id: str = ""

    @property
    def trigger(self) -> Trigger:
        return Trigger(self.causation_id, self.at, self.session, self.correlation_id)


class Work(Protocol[StateIn]):
    """Where a service touches the world. Called from its own thread, never concurrently."""

    def recover(self, state: StateIn) -> None:
        """Called once after the lease was won, before anything is read.

        Raises TransientError if it is to be tried again.
        """
        ...

    def act(self, state: StateIn) -> Outcome | None:
        """Do the most urgent action that `state` records; None if none is due.

        Raises TransientError if the world is away: the action stays, readiness says so, it is tried
        again.
        """
        ...

    def wait(self, state: StateIn) -> float:
        """Seconds until `act` wants to be called again if no message comes meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Service(Generic[State, S]):
    """Everything the runtime must know of a service.

    event: message -> name of its log event. gauges: state -> samples, computed at scrape time.
    counts: outgoing message -> increments of the declared `counters`. verify: called with every
    envelope before its message is handled; raises InvalidMessage (executor: signatures).
    kill_fenced: a step is only taken if the kill latch has not moved since the decision (gate).
    """

    name: ServiceName
    initial: State
    handlers: HandlerTable[State, S]
    settings: S
    work: Work[State] | None = None
    verify: Callable[[Envelope], None] | None = None
    sign: Callable[[Envelope], Envelope] | None = None
    kill_fenced: bool = False
    event: Callable[[Message], str] = event_name
    gauges: Callable[[State], Iterable[MetricSample]] = no_samples
    counters: tuple[CounterSpec, ...] = ()
    counts: Callable[[Message], Iterable[MetricSample]] = no_samples
