"""Every way an approval can go ends its reservation: gate and executor are real."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from services.executor.brokers.protocol import SubmitAnswer, SubmitResult
from shared.schemas import messages as m
from shared.schemas.streams import ServiceName, state_key
from tests.integration.risk_gate.pair import Pair
from tests.unit.risk_gate.desk import signal

D = Decimal


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def approve_one(pair: Pair) -> None:
    pair.scan(signal())
    assert len(pair.book.reservations) == 1
    assert pair.book.used == D("70.07")


def fill(pair: Pair) -> None:
    """Nothing special happens."""


def fill_in_part(pair: Pair) -> None:
    pair.floor.broker.shares["AAPL"] = 3


def miss_the_price(pair: Pair) -> None:
    pair.floor.broker.price["AAPL"] = D("11.00")


def reject(pair: Pair) -> None:
    answer = SubmitAnswer(SubmitResult.REJECTED, "not today")
    pair.floor.broker.script.append((answer, False))


def expire(pair: Pair) -> None:
    """The executor is down until nothing may be sent any more."""
    for _ in range(31):
        pair.floor.clock.advance(10)
        pair.judge()
    pair.floor.restart()


def kill(pair: Pair) -> None:
    pair.floor.latch.halt("stop")


def lose_the_approval(pair: Pair) -> None:
    pair.spoil(m.OrderApproved)


def lose_the_decision(pair: Pair) -> None:
    """The executor never learns that the scan is decided: it is never executed."""
    pair.spoil(m.ScanDecided)


def lose_both(pair: Pair) -> None:
    pair.spoil(m.OrderApproved)
    pair.spoil(m.ScanDecided)


def repeat_the_approval(pair: Pair) -> None:
    for _ in range(5):
        pair.repeat(m.OrderApproved)


def vanish(pair: Pair) -> None:
    """The POST is never answered, and the broker has never heard of it."""
    answer = SubmitAnswer(SubmitResult.UNKNOWN, "timeout")
    pair.floor.broker.script.append((answer, False))


def answer_late(pair: Pair) -> None:
    """The POST is never answered, but the broker has taken and filled it."""
    answer = SubmitAnswer(SubmitResult.UNKNOWN, "timeout")
    pair.floor.broker.script.append((answer, True))


def restart_the_executor(pair: Pair) -> None:
    pair.floor.restart()


def restart_the_gate(pair: Pair) -> None:
    pair.gate = pair.start_gate()


WAYS: list[tuple[Callable[[Pair], None], int]] = [
    (fill, 7),
    (fill_in_part, 3),
    (miss_the_price, 0),
    (reject, 0),
    (expire, 0),
    (kill, 0),
    (lose_the_approval, 0),
    (lose_the_decision, 7),
    (lose_both, 0),
    (repeat_the_approval, 7),
    (vanish, 0),
    (answer_late, 7),
    (restart_the_executor, 7),
    (restart_the_gate, 7),
]


@pytest.mark.parametrize(("way", "shares"), WAYS, ids=lambda each: getattr(each, "__name__", ""))
def test_whatever_becomes_of_an_entry_its_reservation_ends(
    pair: Pair, way: Callable[[Pair], None], shares: int
) -> None:
    approve_one(pair)
    way(pair)
    pair.run()
    pair.rest()
    assert pair.book.reservations == {}
    held = pair.book.positions.get("AAPL")
    assert (held.qty if held else 0) == shares
    assert pair.book.cash == pair.floor.broker.cash
    assert pair.book.used >= shares * D("10.00")


@pytest.mark.parametrize(("way", "shares"), WAYS, ids=lambda each: getattr(each, "__name__", ""))
def test_whatever_becomes_of_an_exit_what_is_left_may_leave_again(
    pair: Pair, way: Callable[[Pair], None], shares: int
) -> None:
    approve_one(pair)
    pair.run()
    pair.rest()
    held = pair.book.positions["AAPL"].qty
    pair.wait(60)
    pair.scan(exits=("AAPL",))
    assert [each.opens for each in pair.book.reservations.values()] == [False]
    way(pair)
    pair.run()
    pair.wait(300)
    pair.rest()
    assert pair.book.reservations == {}
    left = pair.book.positions.get("AAPL")
    assert pair.book.closable("AAPL") == (left.qty if left else 0)
    assert pair.book.cash == pair.floor.broker.cash
    assert held == 7


def test_an_executor_that_forgot_everything_leaves_no_reservation_and_no_budget(
    pair: Pair,
) -> None:
    approve_one(pair)
    pair.floor.run()
    pair.floor.server.hashes[state_key(ServiceName.EXECUTOR)].clear()
    pair.floor.restart()
    pair.run()
    pair.rest()
    assert pair.book.reservations == {}
    assert pair.book.used == D("70.07")
