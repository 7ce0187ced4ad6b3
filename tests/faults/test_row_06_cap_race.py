"""Row 6: gates racing for the daily cap approve exactly what it allows, whoever wins which step."""

from __future__ import annotations

import random

import pytest

from services.risk_gate.state import GateSettings, State
from shared.runtime.bus.protocol import Fenced
from shared.runtime.runner.runner import Runner
from shared.schemas import messages as m
from tests.builders import scan_ref
from tests.integration.risk_gate.floor import Floor
from tests.unit.risk_gate.desk import (
    LOOSE,
    D,
    account_seen,
    approved,
    completed,
    gate_settings,
    quote_of,
    signal,
)

SEVENTY = "69.93"
"""A quote whose limit is $70.00 exactly: one share an order."""


def write_scan(floor: Floor, number: int) -> None:
    ref = scan_ref(id=f"SCAN_{number}")
    name = f"S{number:03}"
    wish = signal(name, reference_price=D(70), stop=D(60), target=D(90))
    floor.write(m.ScanDue(scan=ref))
    floor.write(completed(ref, [wish]))
    quotes = (quote_of(name, ref, SEVENTY),)
    floor.write(m.QuotesSeen(scan=ref, part=1, parts=1, quotes=quotes, unquoted=()))


@pytest.mark.parametrize("seed", range(5))
def test_320_orders_of_70_dollars_get_exactly_14_of_1000_from_gates_that_take_turns(
    seed: int,
) -> None:
    floor, chance = Floor(gate_settings(LOOSE)), random.Random(seed)
    opened = m.SessionOpened(
        session=scan_ref().session,
        previous=None,
        opens_at=scan_ref().slot_at,
        closes_at=scan_ref().closes_at,
    )
    floor.write(opened)
    floor.write(account_seen())
    gates = {name: floor.gate(name) for name in ("one", "two", "three")}
    for number in range(320):
        write_scan(floor, number)
        if chance.random() < 0.03:
            floor.clock.advance(16)
        turn_somebody(gates[chance.choice(list(gates))])
    floor.clock.advance(16)
    for _ in range(50):
        turn_somebody(gates["two"])
    orders = approved(floor.orders())
    assert len(orders) == len({order.client_order_id for order in orders}) == 14
    assert len([each for each in floor.orders() if isinstance(each, m.ScanDecided)]) == 320


def turn_somebody(gate: Runner[State, GateSettings]) -> None:
    """One round of a gate that may have lost its lease, or never had it."""
    try:
        gate.turn(0)
    except Fenced:
        gate.start()
