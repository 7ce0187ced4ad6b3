"""The scheduler's messages, built from the session's times. Called by both clocks' handlers."""

import datetime as dt

from services.scheduler.state import SessionTimes
from shared.domain.trading.ids import scan_id
from shared.runtime.runner.contract import Outgoing
from shared.schemas.messages import ScanDue, SessionOpened
from shared.schemas.values import ScanRef, Slot


def opening_message(times: SessionTimes) -> SessionOpened:
    return SessionOpened(
        session=times.session,
        previous=times.previous,
        opens_at=times.opens_at,
        closes_at=times.closes_at,
    )


def scan_due(
    times: SessionTimes, slot: Slot, slot_at: dt.datetime, *, executions_seq: int = 0
) -> Outgoing:
    """`executions_seq`: the executor's message that must be heard before the scan is decided."""
    scan = ScanRef(
        id=scan_id(times.session, slot_at),
        session=times.session,
        slot=slot,
        slot_at=slot_at,
        closes_at=times.closes_at,
        last_completed=times.previous,
        executions_seq=executions_seq,
    )
    return Outgoing(ScanDue(scan=scan), scan.session, scan.id)
