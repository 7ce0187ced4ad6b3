"""Turns a service by hand.

Hears messages and lets work act, through the real handlers and the real codec.

Every step writes the state as the bus would and reads it back, so that each is a restart, too.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared.runtime.clock import Clock
from shared.runtime.runner.contract import Context, HandlerTable, Outcome, Outgoing, Trigger, Work
from shared.runtime.runner.state_codec import changes, state_from
from shared.schemas.envelope import Envelope, canonical, decode
from shared.schemas.messages import Message
from tests.builders import NOON, envelope


@dataclass
class Turning:
    handlers: HandlerTable[Any, Any]
    initial: Any
    work: Work[Any] | None = None
    settings: Any = None
    fields: dict[str, str] = field(default_factory=dict)
    seq: int = 0
    clock: Clock | None = None

    @property
    def state(self) -> Any:
        return state_from(self.initial, self.fields)

    def hear(
        self, message: Message, *, at: dt.datetime | None = None, seq: int = 0
    ) -> list[Message]:
        """One message, as if it had come over the bus; what is said because of it."""
        self.seq = seq or self.seq + 1
        at = at or (self.clock.now() if self.clock else NOON)
        heard: Envelope = envelope(message, at=at, seq=self.seq)
        trigger = Trigger.of(heard)
        return self._decide(decode(heard.type, heard.data.encode()), trigger)

    def act(self) -> list[Message] | None:
        """Let work act once; None if it had nothing to do."""
        assert self.work
        outcome = self.work.act(self.state)
        return None if outcome is None else self.settle(outcome)

    def settle(self, outcome: Outcome) -> list[Message]:
        return self._decide(outcome.value, outcome.trigger)

    def act_all(self) -> list[Message]:
        said: list[Message] = []
        while (more := self.act()) is not None:
            said += more
        return said

    def _decide(self, value: Any, trigger: Trigger) -> list[Message]:
        before = self.state
        state, said = self.handlers[type(value)](before, value, Context(self.settings, trigger))
        changed, removed = changes(before, state)
        self.fields = {
            key: text for key, text in {**self.fields, **changed}.items() if key not in removed
        }
        plain = [each.message if isinstance(each, Outgoing) else each for each in said]
        for message in plain:
            assert decode(type(message).__name__, canonical(message)) == message
        assert msgspec.to_builtins(self.state) == msgspec.to_builtins(state)
        return plain
