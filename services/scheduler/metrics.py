"""The scheduler's metrics: sessions, slots, and what the broker's calendar says of them."""

from collections.abc import Iterable

from services.scheduler.state import MissReason, SessionStanding, State
from shared.domain.market.timetable import Occasion
from shared.runtime.observability.samples import CounterSpec, MetricSample, label_sets
from shared.schemas.messages import Message, ScanDue
from shared.schemas.values import Slot

COUNTERS = (
    CounterSpec(
        "kobe_scheduler_slot_runs", "Scans announced", label_sets(slot=Slot, result=["announced"])
    ),
)


def gauges(state: State) -> Iterable[MetricSample]:
    yield MetricSample(
        "kobe_scheduler_sessions_done", float(state.sessions_done), help="Sessions run to their end"
    )
    yield MetricSample(
        "kobe_scheduler_finished",
        float(state.finished),
        help="1 when there is no session left to replay",
    )
    yield MetricSample(
        "kobe_scheduler_calendar_differences",
        float(len(state.differences)),
        help="Days on which the broker's calendar and ours differ",
    )
    for reason in MissReason:
        yield MetricSample(
            "kobe_scheduler_slots_missed",
            float(sum(each is reason for each in state.missed.values())),
            {"reason": reason.value},
            help="Slots of the present session that did not run",
        )
    if state.times:
        yield from _session_gauges(state, state.times.opens_at.timestamp())


def _session_gauges(state: State, opens_at: float) -> Iterable[MetricSample]:
    is_open = state.has_fired(Occasion.OPENED) and not state.has_fired(Occasion.CLOSED)
    yield MetricSample(
        "kobe_session_timestamp_seconds", opens_at, help="When the session being run opens"
    )
    yield MetricSample(
        "kobe_session_is_open", float(is_open), help="1 between the session's open and close"
    )
    for standing in SessionStanding:
        yield MetricSample(
            "kobe_scheduler_session_standing",
            float(state.standing is standing),
            {"standing": standing.value},
            help="What the broker's calendar says of the session being run",
        )


def counts(message: Message) -> Iterable[MetricSample]:
    if isinstance(message, ScanDue):
        yield MetricSample(
            "kobe_scheduler_slot_runs", 1, {"slot": message.scan.slot.value, "result": "announced"}
        )
