"""Rows of FAULTS that need the executor as a process: crashes, lost answers, forgeries, kills.

Its own process, a real Redis, the simulated broker over HTTP. KOBE_FULL=1 runs the printed counts.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.sim_broker.fault_injection import kinds
from shared.runtime.crash_points import CrashPoint
from shared.runtime.signing import Signer
from shared.schemas.messages import OrderEnded, OrderFilled, ProtectionPlaced, ScanExecuted
from shared.schemas.streams import DEAD
from shared.schemas.values import Ending, Purpose
from tests.integration.executor.process import Stack, running

FULL = os.environ.get("KOBE_FULL") == "1"
POINTS = [
    CrashPoint.READ,
    CrashPoint.DECIDED,
    CrashPoint.COMMITTED,
    CrashPoint.ACKED,
    CrashPoint.JOURNALED,
    CrashPoint.POST_SENT,
    CrashPoint.POST_ANSWERED,
    CrashPoint.RECORDED,
]
NTHS = (1, 2, 3, 5, 8) if FULL else (1,)
ORDERS = 20 if FULL else 6


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with running(tmp_path) as stack:
        yield stack


def approve_some(stack: Stack, number: int = ORDERS) -> list[str]:
    names = [stack.approve(f"S{each}").client_order_id for each in range(number)]
    stack.decide(number)
    return names


def is_sound(stack: Stack, names: list[str]) -> None:
    """I1, I5 and protection: one order at most, one ending each, a living stop for what is held.

    What was claimed and never sent is given up; what waited too long for the restart expires.
    """
    assert all(stack.orders(name) <= 1 for name in names)
    ends = [each for each in stack.said(OrderEnded) if each.purpose is Purpose.ENTRY]
    assert sorted(each.client_order_id for each in ends) == sorted(names)
    book = stack.simulator.exchange.book
    assert all(not book.available(symbol) for symbol in list(book.positions))


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("nth", NTHS)
def test_row_1_a_crash_at_any_point_doubles_and_loses_nothing(
    tmp_path: Path, point: CrashPoint, nth: int
) -> None:
    with running(tmp_path) as stack:
        stack.end(signal.SIGKILL)
        stack.environment |= {"KOBE_TEST": "1", "KOBE_CRASH": f"{point}:{nth}"}
        stack.start()
        names = approve_some(stack)
        stack.until(lambda: stack.process and stack.process.poll() is not None, 60.0)
        del stack.environment["KOBE_CRASH"]
        stack.start()
        stack.until(lambda: stack.said(ScanExecuted), 90.0)
        is_sound(stack, names)


def test_row_12_answers_lost_with_and_without_an_order_behind_them_are_resolved(
    stack: Stack,
) -> None:
    for status in (500, 502, 503, 504):
        stack.simulator.faults.add(kinds.Lose(status=status))
        stack.simulator.faults.add(kinds.Refuse(status=status))
    names = approve_some(stack, 4)
    stack.until(lambda: len(stack.said(OrderEnded)) >= 4, 120.0)
    book = stack.simulator.exchange.book
    posts = [name for name in names if book.order_by_client_id(name)]
    filled = {each.client_order_id for each in stack.said(OrderFilled)}
    assert filled == set(posts)


def test_row_29_a_forged_approval_is_never_obeyed(stack: Stack) -> None:
    forged = stack.approve("S1", signer=Signer.generate())
    stack.until(lambda: stack.redis.one("XLEN", DEAD), 30.0)
    assert stack.orders(forged.client_order_id) == 0


def test_row_30_a_published_kill_stops_every_later_entry(stack: Stack) -> None:
    before = approve_some(stack, 2)
    stack.until(lambda: len(stack.said(OrderFilled)) >= 2, 30.0)
    stack.kill()
    time.sleep(0.25)
    late = stack.approve("S90")
    stack.until(lambda: any(each.ending is Ending.HALTED for each in stack.said(OrderEnded)), 30.0)
    assert stack.orders(late.client_order_id) == 0
    assert [stack.orders(name) for name in before] == [1, 1]


def test_row_33_a_kill_while_a_post_is_under_way_lets_it_end_and_protects_it(stack: Stack) -> None:
    stack.simulator.faults.add(kinds.DelayAnswer(seconds=1.5))
    order = stack.approve("S3")
    stack.until(lambda: stack.orders(order.client_order_id), 30.0)
    stack.kill()
    stack.until(lambda: stack.said(ProtectionPlaced), 60.0)
    assert [each.symbol for each in stack.said(OrderFilled)] == ["S3"]


def test_row_45_an_old_approval_read_again_sends_nothing(stack: Stack) -> None:
    names = approve_some(stack, 2)
    stack.until(lambda: stack.said(ScanExecuted), 30.0)
    entries = stack.redis.one("XRANGE", "kobe:orders", "-", "+")
    for _, fields in entries:
        stack.redis.one("XADD", "kobe:orders", "*", *fields)
    probe = stack.approve("S80")
    stack.until(lambda: len(stack.said(OrderFilled)) >= 3, 60.0)
    assert [stack.orders(name) for name in [*names, probe.client_order_id]] == [1, 1, 1]
    assert len(stack.said(OrderFilled)) == 3
