"""A kill: nothing is opened after it, what rests and could open is canceled, protection goes on."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from services.executor.brokers.protocol import Kind, SubmitAnswer, SubmitResult
from services.executor.orders.journal import RowState
from services.executor.orders.state import unprotected_symbols
from shared.domain.errors import TransientError
from shared.schemas.messages import (
    FlatConfirmed,
    FlatNotConfirmed,
    OrderEnded,
    ProtectionPlaced,
)
from shared.schemas.values import Ending, OrderStatus
from tests.unit.executor.floor import Floor


def test_after_a_kill_an_approved_entry_ends_halted_and_unsent(floor: Floor) -> None:
    floor.approve()
    floor.latch.halt("enough")
    floor.run()
    assert floor.broker.posts == []
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.HALTED]
    assert "kill_switch_active" in floor.log.events


def test_a_kill_between_journal_and_post_is_still_in_time(floor: Floor) -> None:
    claim = floor.journal.claim

    def killed(*args: object, **kwargs: object) -> bool:
        floor.latch.halt("now")
        return claim(*args, **kwargs)  # type: ignore[arg-type]

    floor.journal.claim = killed  # type: ignore[method-assign]
    floor.approve()
    floor.run()
    assert floor.broker.posts == []
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.HALTED]


def test_a_kill_while_the_connection_is_made_is_still_in_time(floor: Floor) -> None:
    floor.broker.before_connect = lambda: floor.latch.halt("during a slow connect")
    order = floor.approve()
    floor.run()
    assert floor.broker.posts == []
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.HALTED]
    row = floor.journal.row(order.decision_id)
    assert row is not None
    assert row.state is RowState.REFUSED


def test_without_enough_lease_left_nothing_is_sent(floor: Floor) -> None:
    floor.broker.before_connect = lambda: floor.clock.advance(9)
    order = floor.approve()
    with pytest.raises(TransientError, match="lease"):
        floor.run()
    assert floor.broker.posts == []
    floor.broker.before_connect = lambda: None
    assert floor.runner.start()
    floor.run()
    assert floor.posts(order.client_order_id) == 1


def test_a_configuration_that_changed_under_the_stack_halts_before_the_next_order(
    floor: Floor,
) -> None:
    floor.work.sender.changed_pin = lambda: "kobe.toml has changed"
    floor.approve()
    floor.run()
    assert floor.broker.posts == []
    assert floor.halts == ["kobe.toml has changed"]


def test_a_kill_takes_back_a_resting_entry(floor: Floor) -> None:
    floor.broker.stubborn = True
    order = floor.entered()
    floor.broker.stubborn = False
    floor.latch.halt("enough")
    floor.run()
    assert floor.broker.orders[order.client_order_id].status is OrderStatus.CANCELED
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.CANCELED]


def test_after_a_kill_what_was_filled_is_still_protected(floor: Floor) -> None:
    floor.broker.before_answer = lambda: floor.latch.halt("while the order was under way")
    floor.approve()
    floor.run()
    assert [request.kind for request in floor.broker.posts] == [
        Kind.IMMEDIATE,
        Kind.STOP_AND_TARGET,
    ]
    assert unprotected_symbols(floor.state) == []


def test_protections_stay_through_a_kill(floor: Floor) -> None:
    floor.entered()
    floor.latch.halt("enough")
    floor.run(seconds=5)
    assert (
        floor.broker.orders[floor.said(ProtectionPlaced)[0].client_order_id].status
        is OrderStatus.NEW
    )


def test_a_time_exit_waits_for_resume_and_its_protection_stays(floor: Floor) -> None:
    floor.entered()
    floor.latch.halt("enough")
    floor.approve_exit(qty=3)
    floor.run(seconds=2)
    assert floor.said(OrderEnded)[-1].ending is Ending.HALTED
    assert unprotected_symbols(floor.state) == []
    assert floor.broker.held_shares["AAPL"][0] == 3


def test_a_kill_after_the_protection_was_canceled_brings_it_back(floor: Floor) -> None:
    floor.entered()
    cancel = floor.broker.cancel

    def killed(broker_order_id: str) -> None:
        cancel(broker_order_id)
        floor.latch.halt("now")

    floor.broker.cancel = killed  # type: ignore[method-assign]
    floor.approve_exit(qty=3)
    floor.run()
    assert [placed.counter for placed in floor.said(ProtectionPlaced)] == [1, 2]
    assert floor.said(OrderEnded)[-1].ending is Ending.HALTED
    assert floor.broker.held_shares["AAPL"][0] == 3


def test_the_flatten_policy_sells_everything_after_a_kill_and_the_broker_confirms_it(
    tmp_path: Path,
) -> None:
    floor = Floor(tmp_path, flatten_on_kill=True).open()
    floor.broker.held_shares["TSLA"] = (Decimal(7), Decimal(200))
    floor.entered("AAPL")
    floor.entered("IBM")
    floor.reconcile()
    floor.latch.halt("enough")
    floor.run(seconds=5)
    assert floor.broker.held_shares == {"TSLA": (Decimal(7), Decimal(200))}
    assert floor.state.positions == {}
    assert [said.symbols for said in floor.said(FlatConfirmed)] == [("AAPL", "IBM")]
    assert floor.said(FlatNotConfirmed) == []
    assert len(floor.halts) == 1
    floor.run(seconds=300)
    assert len(floor.said(FlatConfirmed)) == 1


def test_what_cannot_be_sold_after_a_kill_is_reported_and_tried_until_it_is(
    tmp_path: Path,
) -> None:
    floor = Floor(tmp_path, flatten_on_kill=True).open()
    floor.entered("AAPL")
    real = floor.broker.submit
    floor.broker.stubborn = True
    floor.latch.halt("enough")
    floor.run(seconds=100)
    assert floor.broker.submit == real
    assert [said.symbols for said in floor.said(FlatNotConfirmed)] == [("AAPL",)]
    assert floor.said(FlatConfirmed) == []
    floor.broker.stubborn = False
    floor.run(seconds=200)
    assert floor.state.positions == {}
    assert len(floor.said(FlatConfirmed)) == 1


def test_without_the_flatten_policy_a_kill_leaves_positions_and_stops(floor: Floor) -> None:
    floor.entered()
    floor.latch.halt("enough")
    floor.run(seconds=60)
    assert floor.broker.held_shares["AAPL"][0] == 3
    assert unprotected_symbols(floor.state) == []
    assert floor.said(FlatConfirmed) == []


def test_an_unknown_order_is_still_looked_up_during_a_kill(floor: Floor) -> None:
    floor.broker.script = [(SubmitAnswer(SubmitResult.UNKNOWN, "lost"), True)]
    floor.broker.before_answer = lambda: floor.latch.halt("in flight")
    floor.approve()
    floor.run(seconds=2)
    assert floor.said(OrderEnded)[0].ending is Ending.FILLED
    assert unprotected_symbols(floor.state) == []
