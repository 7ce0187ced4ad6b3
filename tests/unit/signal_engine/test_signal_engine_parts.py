"""A scan leaves in parts: exits first, every part small enough for an envelope, none lost."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from services.signal_engine.handlers import HANDLERS, ScanResult, State
from shared.runtime.runner.contract import Outcome
from shared.schemas.envelope import MAX_BYTES, from_fields, to_fields
from shared.schemas.fields import MAX_PARTS
from shared.schemas.messages import ScanCompleted, ScanDue
from shared.schemas.values import Direction, Exit, Purpose, Signal
from tests.builders import NOON, envelope, scan_ref
from tests.turning import Turning

DAY = dt.date(2024, 1, 4)


def leave(number: int) -> Exit:
    return Exit(
        symbol=f"X{number}",
        strategy="s",
        direction=Direction.LONG,
        purpose=Purpose.SIGNAL_EXIT,
        entry_session=DAY,
        bars_held=3,
    )


def signal(number: int, **changes: Any) -> Signal:
    values: dict[str, Any] = {
        "session": DAY,
        "symbol": f"S{number}",
        "strategy": "s",
        "direction": Direction.LONG,
        "reference_price": Decimal("1.00"),
        "stop": Decimal("0.50"),
        "target": None,
        "time_stop_bars": 5,
        "score": Decimal(1),
        "reason": "",
    }
    return Signal(**{**values, **changes})


def largest_signal(number: int) -> Signal:
    """As long as its fields allow."""
    longest = Decimal("-1234567890.123456789012345678901234567890123456")
    indicators = {f"indicator_{place:02}_{'x' * 50}": longest for place in range(32)}
    return signal(number, strategy="s" * 64, reason="r" * 1000, indicators=indicators)


def parts_of(exits: list[Exit], signals: list[Signal]) -> list[ScanCompleted]:
    scan = scan_ref()
    turning = Turning(HANDLERS, State(), None)
    turning.hear(ScanDue(scan=scan))
    found = ScanResult(scan=scan, exits=tuple(exits), signals=tuple(signals), bars_digest="d")
    said = turning.settle(Outcome(found, at=NOON, session=scan.session, correlation_id=scan.id))
    return [each for each in said if isinstance(each, ScanCompleted)]


def test_a_large_scan_comes_in_parts_exits_first() -> None:
    signals = [signal(number) for number in range(1800)]
    parts = parts_of([leave(number) for number in range(350)], signals)
    assert [(each.part, each.parts) for each in parts] == [(n, 3) for n in (1, 2, 3)]
    assert [len(each.exits) for each in parts] == [350, 0, 0]
    assert [each for part in parts for each in part.signals] == signals


def test_every_part_of_the_largest_signals_fits_into_an_envelope() -> None:
    signals = [largest_signal(number) for number in range(900)]
    parts = parts_of([], signals)
    assert len(parts) <= MAX_PARTS
    for part in parts:
        fields = to_fields(envelope(part))
        assert sum(len(key) + len(value.encode()) for key, value in fields.items()) <= MAX_BYTES
        assert from_fields(fields)[1] == part
    assert [each for part in parts for each in part.signals] == signals


def test_a_scan_of_more_signals_than_it_may_carry_keeps_its_exits_and_says_why() -> None:
    parts = parts_of([leave(1)], [largest_signal(number) for number in range(5000)])
    assert [(len(each.exits), len(each.signals)) for each in parts] == [(1, 0)]
    assert parts[0].aborted == "5000 signals are more than one scan may carry"
