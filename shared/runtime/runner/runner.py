"""The loop every service runs: read, decide, commit, then do what the state asks for.

It never decides anything itself; handlers do, and it never touches the world; work does.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Generic

from prometheus_client import Histogram

from shared.domain.errors import InvalidMessage, TransientError
from shared.runtime.bus.protocol import (
    Bus,
    Conflict,
    DeadLetter,
    Entry,
    KillView,
    StateRecord,
    Step,
)
from shared.runtime.clock import Clock
from shared.runtime.crash_points import CrashPoint, reach
from shared.runtime.kill.protocol import Latch
from shared.runtime.observability.health_server import Health
from shared.runtime.observability.log import Log, brief
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.observability.samples import CounterSpec, MetricSample, label_sets
from shared.runtime.runner.contract import Context, Outcome, Outgoing, S, Service, State, Trigger
from shared.runtime.runner.life_cycle import LifeCycle
from shared.runtime.runner.sealer import Sealer
from shared.runtime.runner.state_codec import changes, state_from
from shared.runtime.runner.watermark import Watermark
from shared.schemas.envelope import Malformed, from_fields, to_fields
from shared.schemas.messages import Message
from shared.schemas.streams import READS, STREAM_OF, WRITER, ServiceName

# One MULTI of 256 messages commits in about 30 ms; more would only delay the next heartbeat.
BATCH = 256
# How long a read may block: a stop and a heartbeat are never further away.
MAX_BLOCK_MS = 500
MAX_DELIVERIES = 3
TRIM_SECONDS = 60.0
# A step is overtaken by a kill, a resume or a renewal; ten in a row are no chance any more.
MOST_TRIES = 10
# Outcomes handled before the streams are read again, so that neither starves the other.
MOST_OUTCOMES = 256


@dataclass
class _Draft(Generic[State]):
    """A step being decided: the state so far and the messages that go out with it.

    `kill` is the latch as it stood before the first decision: a kill that comes later overtakes the
    step.
    """

    state: State
    kill: KillView
    outgoing: list[tuple[Message | Outgoing, Trigger]] = field(default_factory=list)
    acks: list[Entry] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    failure: Exception | None = None


class Runner(Generic[State, S]):
    """Runs one Service on one Bus. A replay calls `turn` of many runners in one thread."""

    def __init__(
        self,
        service: Service[State, S],
        *,
        bus: Bus,
        latch: Latch,
        seal: Sealer,
        clock: Clock,
        metrics: MetricRegistry,
        health: Health,
        log: Log,
        watermark: Watermark | None = None,
        keep_seconds: float = 7 * 86_400.0,
    ) -> None:
        self.service = service
        self.state = service.initial
        self._bus, self._latch, self._seal = bus, latch, seal
        self._clock, self._metrics, self._health, self._log = clock, metrics, health, log
        self._life = LifeCycle(bus, clock, health, log)
        self._stop = Event()
        self._watermark = watermark or Watermark()
        self._version = self._fence = self._seq = 0
        self._trimmed_at = 0.0
        self._keep = dt.timedelta(seconds=keep_seconds)
        self._declare_metrics()

    def _declare_metrics(self) -> None:
        registry = self._metrics.registry
        self._step_seconds = Histogram(
            "kobe_step_seconds", "Time to decide and commit a step", registry=registry
        )
        self._message_age = Histogram(
            "kobe_message_age_seconds", "Age of a message when handled", registry=registry
        )
        self._metrics.declare(*_own_counters(self.service.name), *self.service.counters)
        self._metrics.watch(lambda: self.service.gauges(self.state))
        self._metrics.watch(self._own_gauges)

    # --- the life of a service --------------------------------------------------------------------

    def run(self, stop: Event) -> None:
        """Run until `stop` is set.

        Raises InvariantBroken, and whatever a handler could not foresee.
        """
        self._stop = stop
        self._life.run(self, stop)

    def start(self) -> bool:
        """Win the lease, read the state, recover; False while another instance is active."""
        record = self._life.take_lease()
        if record is None:
            return False
        self._adopt(record)
        if self.service.work:
            self.service.work.recover(self.state)
        self._life.announce_start(fence=self._fence, version=self._version)
        return True

    def turn(self, block_ms: int = MAX_BLOCK_MS) -> bool:
        """Handle new messages, then work until no action is due; True if anything was done."""
        self._life.keep_alive()
        self._trim()
        entries = self._bus.read(count=BATCH, block_ms=self._block(block_ms))
        if entries:
            reach(CrashPoint.READ)
            self._handle_batch(entries)
        worked = self._work()
        return bool(entries) or worked

    def pause(self) -> float:
        """None: a turn blocks in its read."""
        return 0.0

    def finish(self) -> None:
        self._bus.release()

    def _trim(self) -> None:
        """Drop what is old from our own streams; the bus keeps what the auditor has not read."""
        if self._clock.monotonic() - self._trimmed_at < TRIM_SECONDS:
            return
        self._trimmed_at = self._clock.monotonic()
        before = int((self._clock.now() - self._keep).timestamp() * 1000)
        for stream in (stream for stream, writer in WRITER.items() if writer is self.service.name):
            self._bus.trim(stream, f"{before}-0")

    def _block(self, block_ms: int) -> int:
        if self.service.work is None:
            return block_ms
        return max(0, min(block_ms, int(self.service.work.wait(self.state) * 1000)))

    def _adopt(self, record: StateRecord) -> None:
        """Go on from the state as Redis has it; halt first if we have committed a later one."""
        if record.version < self._watermark.version:
            self._latch.halt(
                f"redis_regressed: Redis holds version {record.version} of the state of "
                f"{self.service.name.value}, which had committed {self._watermark.version}"
            )
        self._watermark.keep(record.version)
        self.state = state_from(self.service.initial, record.fields)
        self._version, self._fence = record.version, record.fence
        self._seq = int(record.fields.get("seq", 0))

    # --- decide and commit ------------------------------------------------------------------------

    def _handle_batch(self, entries: Sequence[Entry]) -> None:
        """Fold a batch into one step; a handler that fails leaves what came before it committed."""
        with self._step_seconds.time():
            for _ in range(MOST_TRIES):
                draft = self._fold(entries)
                if self._commit(draft):
                    break
            else:
                raise TransientError(f"the step was overtaken {MOST_TRIES} times in a row")
        if draft.failure is not None:
            raise draft.failure

    def _fold(self, entries: Sequence[Entry]) -> _Draft[State]:
        draft = _Draft(self.state, self._latch.view())
        for index, entry in enumerate(entries):
            try:
                # What stood before a crash was committed, so the culprit is the first of those
                # delivered again.
                if index == 0 and entry.deliveries > MAX_DELIVERIES:
                    raise InvalidMessage(f"its handling failed {entry.deliveries - 1} times")
                self._handle(entry, draft)
            except (Malformed, InvalidMessage) as error:
                draft.dead.append(DeadLetter(entry, str(error)))
            except Exception as error:  # noqa: BLE001  raised again after the commit
                draft.failure = error
                return draft
        return draft

    def _handle(self, entry: Entry, draft: _Draft[State]) -> None:
        envelope, message = from_fields(entry.fields)
        if WRITER[envelope.stream] is not envelope.writer or envelope.stream is not entry.stream:
            raise InvalidMessage(
                f"{envelope.type} from {envelope.writer} does not belong on {entry.stream}"
            )
        if self.service.verify:
            self.service.verify(envelope)
        self._decide(message, Trigger.of(envelope), draft)
        draft.acks.append(entry)
        self._message_age.observe(max(0.0, (self._clock.now() - envelope.at).total_seconds()))

    def _decide(self, message: object, trigger: Trigger, draft: _Draft[State]) -> None:
        handler = self.service.handlers.get(type(message))
        if handler is None:
            return
        context = Context(self.service.settings, trigger, self._latch.reasons())
        draft.state, outgoing = handler(draft.state, message, context)
        draft.outgoing += [(message, trigger) for message in outgoing]

    def _commit(self, draft: _Draft[State]) -> bool:
        """One MULTI; False if the ground moved and the decision must be taken anew."""
        envelopes = [
            self._seal(message, trigger, seq=self._seq + number, fence=self._fence)
            for number, (message, trigger) in enumerate(draft.outgoing, start=1)
        ]
        changed, removed = changes(self.state, draft.state)
        if envelopes:
            changed["seq"] = str(self._seq + len(envelopes))
        if not (changed or removed or draft.acks or draft.dead):
            return True
        step = Step(
            version=self._version,
            changed=changed,
            removed=removed,
            outputs=[(stream, to_fields(envelope)) for stream, envelope in envelopes],
            acks=draft.acks,
            dead=draft.dead,
            kill=draft.kill if self.service.kill_fenced else None,
        )
        reach(CrashPoint.DECIDED)
        try:
            self._bus.commit(step)
        except Conflict as conflict:
            self._log.info("step_overtaken", why=str(conflict))
            self._adopt(self._bus.load())
            self._latch.refresh()
            return False
        reach(CrashPoint.ACKED if draft.acks else CrashPoint.COMMITTED)
        self.state = draft.state
        self._version += 1
        self._watermark.keep(self._version)
        self._seq += len(envelopes)
        self._report(draft)
        return True

    def _work(self) -> bool:
        """Ask work for outcomes until it has none; each is committed before the next is asked for.

        A stop is obeyed between two of them: what is left stands in the state.
        """
        if self.service.work is None:
            return False
        for number in range(MOST_OUTCOMES):
            self._life.keep_alive()
            outcome = None if self._stop.is_set() else self.service.work.act(self.state)
            if outcome is None:
                return number > 0
            self._settle(outcome)
        return True

    def _settle(self, outcome: Outcome) -> None:
        for _ in range(MOST_TRIES):
            draft = _Draft(self.state, self._latch.view())
            self._decide(outcome.value, outcome.trigger, draft)
            if self._commit(draft):
                return
        raise TransientError(f"the step was overtaken {MOST_TRIES} times in a row")

    # --- what people see --------------------------------------------------------------------------

    def _report(self, draft: _Draft[State]) -> None:
        for outgoing, _ in draft.outgoing:
            message = outgoing.message if isinstance(outgoing, Outgoing) else outgoing
            self._metrics.count("kobe_messages", type=type(message).__name__)
            for sample in self.service.counts(message):
                self._metrics.count(sample.name, sample.value, **sample.labels)
            self._log.info(self.service.event(message), **brief(message))
        for letter in draft.dead:
            self._metrics.count("kobe_dead_letters", stream=letter.entry.stream.value)
            self._log.error("dead_letter", stream=letter.entry.stream.value, reason=letter.reason)

    def _own_gauges(self) -> list[MetricSample]:
        return [
            MetricSample(
                "kobe_ready", float(not self._health.reasons), help="1 when ready to serve"
            ),
            MetricSample(
                "kobe_halted",
                float(bool(self._latch.reasons())),
                help="1 while the kill latch holds",
            ),
            MetricSample(
                "kobe_heartbeat_timestamp_seconds",
                self._clock.now().timestamp(),
                help="Time of this scrape",
            ),
            MetricSample(
                "kobe_lease_fence", float(self._fence), help="Grows with every holder of the lease"
            ),
            MetricSample(
                "kobe_written_seq", float(self._seq), help="Number of the last envelope written"
            ),
        ]


def _own_counters(service: ServiceName) -> tuple[CounterSpec, ...]:
    kinds = [kind.__name__ for kind, stream in STREAM_OF.items() if WRITER[stream] is service]
    streams = [stream.value for stream in READS[service]]
    return (
        CounterSpec("kobe_messages", "Messages written", label_sets(type=kinds)),
        CounterSpec("kobe_dead_letters", "Entries nobody could read", label_sets(stream=streams)),
    )
