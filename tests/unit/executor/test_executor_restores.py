"""Redis comes back empty, older or cut.

The books are restored from the journal, and nothing is bare.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from services.executor.orders.state import unprotected_symbols
from services.executor.startup.signature_check import only_the_gate
from shared.runtime.signing import Keyring, Signer
from shared.schemas.messages import OrderEnded, OrderFilled, ProtectionPlaced
from shared.schemas.values import Ending
from tests.builders import approval, envelope
from tests.fakes import KeptLog
from tests.unit.executor.floor import Floor

STATE = "kobe:state:executor"


def older_redis(floor: Floor, then: Callable[[], object]) -> None:
    """Redis forgets what happens in `then`; broker and journal do not."""
    kept = dict(floor.server.hash(STATE))
    then()
    floor.run()
    held = floor.server.hash(STATE)
    version = held["version"]
    held.clear()
    held.update(kept | {"version": version, "fence": held.get("fence", kept["fence"])})


@pytest.mark.parametrize("lost", ["all", "entry"])
def test_an_executed_entry_that_redis_forgot_keeps_its_owner_and_its_stop(
    floor: Floor, lost: str
) -> None:
    if lost == "all":
        order = floor.entered()
        floor.reconcile()
        floor.server.hash(STATE).clear()
    else:
        floor.entered("IBM")
        orders: list[str] = []
        older_redis(floor, lambda: orders.append(floor.entered().client_order_id))
        order = approval(client_order_id=orders[0])
    floor.restart().run(seconds=40)
    assert floor.state.positions["AAPL"].qty == 3
    assert unprotected_symbols(floor.state) == []
    assert floor.posts(order.client_order_id) == 1
    assert len(floor.halts) == 1
    assert "redis_regressed" in floor.halts[0]
    exit_ = floor.resume().approve_exit(qty=3)
    floor.run()
    ends = {said.client_order_id: said.ending for said in floor.said(OrderEnded)}
    assert ends[exit_.client_order_id] is Ending.FILLED


def test_an_exit_that_redis_forgot_is_not_carried_out_twice(floor: Floor) -> None:
    floor.entered()
    floor.reconcile()
    older_redis(floor, lambda: floor.approve_exit(qty=3))
    floor.restart().run(seconds=40)
    assert floor.state.positions == {}
    assert sum(request.side.value == "sell" for request in floor.broker.posts) == 2
    assert floor.broker.held_shares == {}


def test_a_fill_after_the_copy_is_found_at_the_broker(floor: Floor) -> None:
    floor.entered()
    floor.reconcile()
    floor.server.hash(STATE).clear()
    floor.broker.fill(floor.said(ProtectionPlaced)[0].client_order_id, Decimal(170))
    floor.restart().run(seconds=40)
    assert floor.state.positions == {}
    assert sum(fill.qty for fill in floor.said(OrderFilled)) == 6


def test_a_crash_between_commit_and_copy_is_no_older_redis(floor: Floor) -> None:
    floor.entered()
    floor.journal.keep_books({}, [])
    floor.restart()
    floor.restart()
    assert floor.halts == []


def test_another_instance_with_a_volume_of_its_own_takes_over_without_losing_an_order(
    floor: Floor,
) -> None:
    order = floor.entered()
    floor.journal.close()
    for file in floor.folder.glob("journal.sqlite*"):
        file.unlink()
    floor.restart().resume()
    floor.hear(order)
    floor.run(seconds=5)
    assert floor.posts(order.client_order_id) == 1
    assert floor.journal.knows(order.client_order_id)
    assert floor.state.positions["AAPL"].qty == 3
    assert unprotected_symbols(floor.state) == []


def test_the_journal_keeps_every_signed_approval_whole(floor: Floor) -> None:
    gate = Signer.generate()
    keyring = Keyring.of([gate.public_key("risk-gate")])
    verify = only_the_gate(keyring, KeptLog(), keep=floor.journal.keep_approval)
    signed = gate.sign(envelope(approval()))
    for _ in range(2):
        verify(signed)
    assert floor.journal.approvals() == [signed]


def test_a_second_stack_on_the_same_account_halts_before_it_opens_anything(
    floor: Floor, tmp_path: Path
) -> None:
    floor.entered()
    second = Floor(tmp_path / "second")
    second.broker.orders = floor.broker.orders
    second.broker.held_shares = floor.broker.held_shares
    second.open()
    assert len(second.halts) == 1
    assert "another stack" in second.halts[0]
    second.approve("IBM")
    second.run()
    assert second.broker.posts == []
