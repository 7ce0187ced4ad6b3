"""What a service is made of: a state, a table of pure handlers, and work that fulfils recorded wishes.

`services/<name>/__main__.py` fills in a Service and hands it to `shared/runtime/runner/runner.py`,
which runs it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from shared.runtime.observability.samples import Sample, no_samples
from shared.schemas.envelope import Envelope
from shared.schemas.messages import Message
from shared.schemas.streams import ServiceName

State = TypeVar("State", bound=msgspec.Struct)
StateIn = TypeVar("StateIn", bound=msgspec.Struct, contravariant=True)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a handler runs: the message heard, or the outcome of work; what is said next inherits from it.

    `at` is when the cause was written (aware, UTC): handlers take time from here, never from a
    clock. `envelope` is None for outcomes of work; `seq` is the writer's number of the message
    heard.
    """

    id: str
    at: dt.datetime
    session: dt.date
    correlation_id: str
    envelope: Envelope | None = None

    @property
    def seq(self) -> int:
        return self.envelope.seq if self.envelope else 0


@dataclass(frozen=True, slots=True)
class Context:
    """What a pure handler may know besides its state and the message. `halted` empty means: not halted."""

    settings: Any
    cause: Cause
    halted: tuple[str, ...] = ()

    @property
    def at(self) -> dt.datetime:
        return self.cause.at


@dataclass(frozen=True, slots=True)
class Said:
    """A message that does not inherit the session or correlation of its cause."""

    message: Message
    session: dt.date
    correlation_id: str


Decision = tuple[State, tuple[Message | Said, ...]]
Handler = Callable[[Any, Any, Context], Decision[Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a wish: a frozen value of the service's own, handled exactly as a message is.

    Its type stands in the handler table too. `session`/`correlation_id` are inherited by what is
    said.
    """

    value: Any
    at: dt.datetime
    session: dt.date
    correlation_id: str
    causation_id: str = ""


class Work(Protocol[StateIn]):
    """Where a service touches the world. Called from the service's own thread, never concurrently."""

    def recover(self, state: StateIn) -> None:
        """Once after the lease was won, before anything is read; raises TransientError to be tried again."""
        ...

    def act(self, state: StateIn) -> Outcome | None:
        """Fulfil the most urgent wish that `state` records and say what became of it; None if none is due.

        Raises TransientError when the world is away: the wish stays, readiness says so, it is tried
        again.
        """
        ...

    def wait(self, state: StateIn) -> float:
        """Seconds until `act` wants to be asked again if nothing is heard meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Service(Generic[State]):
    """Everything the runtime must know of a service.

    handlers: message (or outcome) type -> pure handler. events: message type -> log event name, or
    a function from the message to it. gauges: state -> samples, computed at scrape time. counts:
    message said -> counter increments. verify: called with every envelope heard before it is
    handled; raises InvalidMessage (executor: signatures). kill_fenced: a step is only taken if the
    kill latch has not moved since the decision (gate).
    """

    name: ServiceName
    initial: State
    handlers: Mapping[type, Handler]
    settings: Any
    work: Work[State] | None = None
    verify: Callable[[Envelope], None] | None = None
    sign: Callable[[Envelope], Envelope] | None = None
    kill_fenced: bool = False
    events: Mapping[type, str | Callable[[Any], str]] = field(default_factory=dict)
    gauges: Callable[[State], Iterable[Sample]] = no_samples
    counts: Callable[[Message], Iterable[Sample]] = no_samples
