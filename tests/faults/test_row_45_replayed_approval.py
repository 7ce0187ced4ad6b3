"""Row 45: an old approval whose bytes come again is never sent again, nor reserved again."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from shared.schemas import messages as m
from tests.integration.risk_gate.pair import Pair
from tests.unit.risk_gate.desk import signal

COPIES = 200


@pytest.mark.parametrize("restart", [False, True])
def test_the_same_bytes_again_and_again_make_one_order(tmp_path: Path, restart: bool) -> None:
    pair = Pair(tmp_path)
    pair.scan(signal())
    pair.run()
    pair.rest()
    posts = len(pair.floor.broker.posts)
    before = pair.book
    for _ in range(COPIES):
        pair.repeat(m.OrderApproved)
    if restart:
        pair.floor.restart()
    pair.run()
    pair.rest()
    assert len(pair.floor.broker.posts) == posts
    assert pair.book.reservations == {}
    assert (pair.book.used, pair.book.positions) == (before.used, before.positions)
    assert pair.book.cash == pair.floor.broker.cash == Decimal(100000) - 7 * Decimal("10.00")
