"""The end of every decision: missing protections are recorded, finished scans reported. Pure.

Called last by each handler that may have changed an order or a position.
"""

import datetime as dt
from collections.abc import Iterable

from msgspec.structs import replace

from services.executor.orders import protection as protect
from services.executor.orders.messages import Messages
from services.executor.orders.state import OpenScan, State, uncovered_symbols
from shared.domain.trading.orders import ProtectionForm
from shared.runtime.runner.contract import Outgoing
from shared.schemas import messages as m
from shared.schemas.values import Purpose


def conclude(
    state: State, messages: Iterable[Outgoing], symbols: Iterable[str], *, at: dt.datetime
) -> tuple[State, Messages]:
    """Record the protections that are missing and report the scans that are finished."""
    for symbol in symbols:
        state = protect.request_protection(state, symbol, at=at)
    state, told = _finish_scans(state)
    return state, (*messages, *told)


def _finish_scans(state: State) -> tuple[State, Messages]:
    pending = {key: scan for key, scan in state.scans.items() if not scan.executed}
    if not pending:
        return state, ()
    exposed = frozenset(_exposed_symbols(state))
    done = {key: scan for key, scan in pending.items() if _is_complete(state, scan, exposed)}
    if not done:
        return state, ()
    scans = {
        key: replace(scan, executed=True) if key in done else scan
        for key, scan in state.scans.items()
    }
    messages = tuple(
        Outgoing(
            m.ScanExecuted(
                scan_id=scan.scan_id, slot=scan.slot, phase=scan.phase, final=scan.final
            ),
            scan.session,
            scan.correlation_id,
        )
        for scan in done.values()
    )
    return replace(state, scans=scans), messages


def _exposed_symbols(state: State) -> list[str]:
    """Symbols whose stop does not rest yet, but for those that cannot have one."""
    selling = {
        order.symbol
        for order in state.orders.values()
        if order.purpose is Purpose.PROTECT and order.form is ProtectionForm.MARKET and order.rests
    }
    excused = {*selling, *state.disputes}
    return [
        symbol
        for symbol in uncovered_symbols(state)
        if symbol not in excused and not state.positions[symbol].blocked
    ]


def _is_complete(state: State, scan: OpenScan, exposed: frozenset[str]) -> bool:
    """Whether all its orders have ended; approvals come before their scan's decision.

    One that is missing was refused as it was read, and is nobody's order.
    """
    orders = [
        order
        for order in state.orders.values()
        if order.scan_id == scan.scan_id and order.phase is scan.phase
    ]
    finished = [order for order in orders if not order.live and order.symbol not in exposed]
    return len(orders) == len(finished)
