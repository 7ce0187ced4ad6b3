"""What the world did to us once, each told as a short story; nothing of it may break an invariant.

Every share of ours keeps its owner and its living stop; nothing is sold that is not ours; no
service raises, floods the broker, or fails to buy the next good signal.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from shared.schemas.values import Slot
from tests.simulate.story import (
    CLOSE_SLOT,
    OPEN_SLOT,
    TRADING,
    Element,
    Entry,
    Incident,
    Move,
    Story,
)
from tests.simulate.world import play

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
TUESDAY, WEDNESDAY = TRADING[0], TRADING[1]
MIDDAY = 3 * 3600.0


def buy(target: str | None = "1.1", bars: int = 3, stop: str = "0.9") -> Entry:
    return Entry(
        TUESDAY, Slot.OPEN, "AAA", Decimal(stop), Decimal(target) if target else None, bars
    )


def happens(kind: str, at: float = MIDDAY, *, day: object = TUESDAY, **details: object) -> Incident:
    words = {"kind": kind, **details}
    return Incident(day, at, kind, tuple(sorted(words.items())))  # type: ignore[arg-type]


def falls(day: object, low: str, close: str) -> Move:
    factors = (Decimal(1), Decimal("1.01"), Decimal(low), Decimal(close))
    return Move(day, "AAA", *factors)  # type: ignore[arg-type]


BEFORE, AFTER = OPEN_SLOT - 5, OPEN_SLOT + 5
STORIES: dict[str, list[Element]] = {
    "one wrong, empty list of positions": [buy(), happens("empty_positions")],
    "two wrong, empty lists of positions": [buy(), happens("empty_positions", times=2)],
    "a 2:1 split overnight, its stop gone": [buy(), happens("split", symbol="AAA", new="2")],
    "a 1:3 reverse split": [buy(), happens("split", symbol="AAA", new="1", old="3")],
    "a split whose orders the broker keeps": [
        buy(), happens("split", symbol="AAA", new="2", orders="keep"),
    ],
    "shares held by hand before we buy": [
        happens("hand_trade", 60.0, symbol="AAA", qty="7"), buy(),
    ],
    "shares bought by hand after we bought": [buy(), happens("hand_trade", symbol="AAA", qty="7")],
    "our shares sold by hand": [buy(), happens("hand_trade", symbol="AAA", side="sell", qty="2")],
    "all our shares sold by hand": [buy(), happens("hand_trade", symbol="AAA", side="sell", qty="6")],
    "a fraction from a dividend": [buy(), happens("reinvest", symbol="AAA", qty="0.5")],
    "a stop passed when it is to be placed": [
        buy(stop="0.999"), happens("refuse_stop", BEFORE, times=0), falls(TUESDAY, "0.9", "0.92"),
    ],
    "a stop that is hit and filled in part": [
        buy(), happens("partial_stop", 60.0, symbol="AAA", shares="2"), falls(TUESDAY, "0.8", "0.95"),
    ],
    "an OCO whose stop leg is dead": [buy(), happens("end_order", symbol="AAA", half="stop")],
    "a symbol renamed": [buy(), happens("rename", symbol="AAA", new_symbol="NEWA")],
    "a spin-off": [buy(), happens("spin_off", symbol="AAA", new_symbol="SPUN")],
    "protection accepted, then canceled": [
        buy(), happens("end_on_arrival", BEFORE, symbol="AAA", times=3),
    ],
    "one cancel stuck": [
        buy(bars=1), happens("stuck_cancel", CLOSE_SLOT - 5, symbol="AAA", times=30),
    ],
    "an entry filled in part that does not end": [
        buy(), happens("partial", BEFORE, symbol="AAA", shares="2"), happens("linger", BEFORE),
    ],
    "death between journal and POST of a protection": [
        buy(), happens("executor", BEFORE, point="journaled", nth=2, delay=1.0),
    ],
    "death after the POST of a protection": [
        buy(), happens("executor", BEFORE, point="post_sent", nth=2, delay=1.0),
    ],
    "an order given up that appears later": [
        buy(), happens("hide", BEFORE, seconds=40.0), happens("lose", BEFORE, status=504),
    ],
    "exits at a broker that is slow": [
        buy(bars=1), happens("delay", CLOSE_SLOT - 5, on="POST /v2/orders", seconds=4.0, times=2),
    ],
    "a cash withdrawal": [buy(), happens("transfer", amount="-40000")],
    "a null field in a foreign position": [
        buy(), happens("hand_trade", 120.0, symbol="BBB"),
        happens("set_field", on="GET /v2/positions", field="avg_entry_price", symbol="BBB", times=3),
    ],
    "a position that is not a number": [
        buy(), happens("set_field", on="GET /v2/positions", field="qty", value="NaN", times=2),
    ],
    "an impossible stop": [buy(stop="-0.2")],
    "a delisted symbol that is paid out": [buy(), happens("delist", symbol="AAA", price="9.5")],
    "a halted symbol": [buy(), happens("halt", symbol="AAA")],
    "a blocked account": [buy(), happens("block")],
    "a broker away for a minute and a half": [buy(), happens("away", AFTER, seconds=90.0)],
    "a wrong list while a fraction is in dispute": [
        buy(target="1.02", stop="0.985", bars=1),
        happens("reinvest", 3605.0, symbol="AAA", qty="0.013"),
        happens("empty_positions", 5.15 * 3600),
    ],
    "a kill while an entry is under way": [buy(), happens("kill", OPEN_SLOT + 0.001)],
    "an approval delivered again": [buy(), happens("again", AFTER, stream="orders")],
}  # fmt: skip


@pytest.mark.parametrize("row", STORIES)
def test_nothing_breaks_in_the_story_of(row: str) -> None:
    violations = [str(each) for each in play(Story(0, tuple(STORIES[row])))]
    assert violations == []


def test_shares_that_can_be_neither_protected_nor_sold_halt_until_the_operator_releases_them() -> (
    None
):
    violations = play(Story(0, (buy(), happens("delist", symbol="AAA"))))
    assert [str(each) for each in violations] == [
        "I10: the probe was not bought: denied for halted"
    ]
