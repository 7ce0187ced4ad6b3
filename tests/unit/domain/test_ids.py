import datetime as dt

import pytest
from hypothesis import given, strategies as st

from shared.domain.trading import ids
from shared.schemas.values import Direction, Mode, Purpose

KEY = {
    "mode": Mode.SIM,
    "account": "sim",
    "session": dt.date(2024, 1, 5),
    "strategy": "donchian",
    "symbol": "AAPL",
    "direction": Direction.LONG,
    "purpose": Purpose.ENTRY,
}


def test_the_same_wish_has_the_same_id() -> None:
    assert ids.signal_id(**KEY) == ids.signal_id(**KEY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"mode": Mode.PAPER},
        {"account": "x"},
        {"symbol": "MSFT"},
        {"purpose": Purpose.TIME_EXIT},
        {"strategy": "ibs"},
    ],
)
def test_any_other_wish_has_another_id(change: dict[str, object]) -> None:
    assert ids.signal_id(**KEY) != ids.signal_id(**{**KEY, **change})  # type: ignore[arg-type]


@given(st.text(min_size=1, max_size=40), st.integers(1, 50))
def test_a_client_order_id_fits_the_broker_and_is_known_as_ours(signal: str, attempt: int) -> None:
    name = ids.client_order_id(ids.order_digest(signal, attempt))
    assert len(name) == 30
    assert ids.is_ours(name)
    assert name != ids.client_order_id(ids.order_digest(signal, attempt + 1))


def test_a_decision_reads_as_it_always_has() -> None:
    digest = ids.order_digest("s", 1)
    slot_at = dt.datetime(2024, 1, 5, 14, 35, tzinfo=dt.UTC)
    name = ids.decision_id(
        digest, session=dt.date(2024, 1, 5), first_slot_at=slot_at, symbol="AAPL"
    )
    assert name == f"DEC_20240105_143500_AAPL_{digest.hex()[:6].upper()}"


def test_protections_of_one_entry_differ_by_their_counter() -> None:
    assert ids.protection_digest("k81-a", 1) != ids.protection_digest("k81-a", 2)
