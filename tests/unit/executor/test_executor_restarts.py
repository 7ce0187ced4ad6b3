"""A crash at every step of an order's life: one order, one end, one protection after it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.executor.orders.state import unprotected_symbols
from shared.runtime.bus.protocol import Step
from shared.schemas.messages import OrderEnded, OrderFilled, ProtectionPlaced, ScanExecuted
from shared.schemas.values import Ending, Phase
from tests.unit.executor.floor import Floor


class Crash(BaseException):
    """The process is gone."""


def crash_at(owner: Any, name: str, nth: int, *, after: bool) -> None:
    """Kill the process at the nth call, before or after its effect; the owner is whole after it."""
    real: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def fatal(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        result = real(*args, **kwargs) if calls != nth or after else None
        if calls == nth:
            setattr(owner, name, real)
            raise Crash
        return result

    setattr(owner, name, fatal)


STEPS = [
    *[("bus", "commit", nth) for nth in range(1, 8)],
    *[("journal", "claim", nth) for nth in (1, 2)],
    *[("broker", "submit", nth) for nth in (1, 2)],
    *[("broker", "order", nth) for nth in (1, 2)],
]


def owner_of(floor: Floor, who: str) -> Any:
    return {"bus": floor.bus, "journal": floor.journal, "broker": floor.broker}[who]


def survive(floor: Floor) -> None:
    """Drive on; if the process dies, start it again."""
    try:
        floor.run()
    except Crash:
        floor.restart()
    floor.run(seconds=30)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("who", "what", "nth"), STEPS)
def test_an_entry_survives_a_crash_at_every_step(
    floor: Floor, who: str, what: str, nth: int, after: bool
) -> None:
    order = floor.approve(expires_at=floor.clock.now().replace(hour=23))
    floor.decide(1)
    crash_at(owner_of(floor, who), what, nth, after=after)
    survive(floor)
    taken = order.client_order_id in floor.broker.orders
    assert floor.posts(order.client_order_id) <= 1
    ends = [
        said for said in floor.said(OrderEnded) if said.client_order_id == order.client_order_id
    ]
    assert [said.ending for said in ends] == [Ending.FILLED if taken else Ending.ABANDONED]
    assert sum(fill.qty for fill in floor.said(OrderFilled)) == (3 if taken else 0)
    assert len(floor.said(ProtectionPlaced)) == (1 if taken else 0)
    assert len(floor.said(ScanExecuted)) == 1
    assert unprotected_symbols(floor.state) == []
    assert floor.halts == []


EXIT_STEPS = [
    *[("bus", "commit", nth) for nth in range(1, 5)],
    *[
        ("broker", "cancel", 1),
        ("broker", "submit", 1),
        ("journal", "claim", 1),
        ("broker", "position", 1),
    ],
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("who", "what", "nth"), EXIT_STEPS)
def test_an_exit_survives_a_crash_at_every_step(
    floor: Floor, who: str, what: str, nth: int, after: bool
) -> None:
    floor.entered()
    exit_ = floor.approve_exit(qty=3, scan_id="SCAN_20240105_205500")
    floor.decide(1, Phase.EXITS, scan_id="SCAN_20240105_205500")
    crash_at(owner_of(floor, who), what, nth, after=after)
    survive(floor)
    sold = exit_.client_order_id in floor.broker.orders
    assert floor.posts(exit_.client_order_id) <= 1
    assert floor.broker.held_shares.get("AAPL", (0, Decimal(0)))[0] == (0 if sold else 3)
    assert len(floor.state.positions) == (0 if sold else 1)
    assert unprotected_symbols(floor.state) == []
    assert len(floor.said(ScanExecuted)) == 1
    assert floor.halts == []


def test_restarting_twice_changes_nothing(floor: Floor) -> None:
    floor.entered()
    before = floor.reconcile().state
    floor.restart().restart()
    assert floor.state.orders == before.orders
    assert floor.state.positions == before.positions
    assert len(floor.broker.posts) == 2


def test_what_waits_for_its_time_is_not_sent_after_it_when_we_were_down(floor: Floor) -> None:
    floor.approve()
    crash_at(floor.bus, "commit", 1, after=True)
    with pytest.raises(Crash):
        floor.run()
    floor.clock.advance(60)
    floor.restart()
    assert floor.broker.posts == []
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.EXPIRED]


def test_a_lost_journal_halts_and_nothing_is_sent_again(floor: Floor) -> None:
    floor.entered()
    crash_at(floor.broker, "submit", 1, after=True)
    order = floor.approve("IBM", expires_at=floor.clock.now().replace(hour=23))
    with pytest.raises(Crash):
        floor.run()
    floor.journal.close()
    for file in floor.folder.glob("journal.sqlite*"):
        file.unlink()
    floor.restart().run(seconds=20)
    assert len(floor.halts) == 1
    assert "journal is gone" in floor.halts[0]
    assert floor.posts(order.client_order_id) == 1
    assert len(floor.said(OrderFilled)) == 2
    assert unprotected_symbols(floor.state) == []


def test_a_state_older_than_the_journal_halts(floor: Floor) -> None:
    floor.entered()
    floor.server.hash("kobe:state:executor").clear()
    floor.restart()
    assert len(floor.halts) == 1
    assert floor.halts[0].startswith("redis_regressed")


def test_orders_refused_by_the_broker_are_no_sign_of_a_lost_state(floor: Floor) -> None:
    from services.executor.brokers.protocol import SubmitAnswer, SubmitResult

    floor.broker.script = [
        (SubmitAnswer(SubmitResult.REJECTED, "no"), False),
        (SubmitAnswer(SubmitResult.NOT_TAKEN, "429", retry_after=99), False),
    ]
    floor.entered("AAPL")
    floor.entered("IBM")
    floor.restart()
    assert floor.halts == []


def test_a_clock_that_differs_from_the_brokers_halts(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    floor.broker.clock = lambda: _late(floor)  # type: ignore[method-assign]
    floor.open()
    assert len(floor.halts) == 1
    assert "differ by" in floor.halts[0]


def _late(floor: Floor) -> Any:
    import datetime as dt

    from services.executor.brokers.protocol import BrokerClock

    return BrokerClock(at=floor.clock.now() + dt.timedelta(seconds=3), is_open=True)


def test_a_step_that_was_overtaken_is_decided_anew_and_nothing_is_sent_twice(floor: Floor) -> None:
    commit = floor.bus.commit
    overtaken: list[Step] = []

    def contested(step: Step) -> None:
        if len(overtaken) < 3:
            overtaken.append(step)
            floor.server.hash("kobe:state:executor")["version"] = str(step.version + 1)
        commit(step)

    floor.bus.commit = contested  # type: ignore[method-assign]
    order = floor.approve()
    floor.run(seconds=1)
    assert floor.posts(order.client_order_id) == 1
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.FILLED]
