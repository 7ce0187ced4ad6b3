from decimal import Decimal

import pytest

from shared.domain.errors import InvariantBroken
from shared.runtime.runner.state_codec import changes, state_from
from shared.schemas.values import Value


class Lot(Value, frozen=True, kw_only=True):
    qty: int
    price: Decimal


class Held(Value, frozen=True, kw_only=True):
    cash: Decimal = Decimal(0)
    lots: dict[str, Lot] = {}
    note: str | None = None


def test_a_state_survives_its_fields() -> None:
    state = Held(cash=Decimal("1.10"), lots={"AAPL": Lot(qty=1, price=Decimal("2.50"))}, note="x")
    fields, removed = changes(Held(), state)
    assert fields == {"cash": '"1.10"', "lots:AAPL": '{"price":"2.50","qty":1}', "note": '"x"'}
    assert removed == []
    assert state_from(Held(), fields) == state


def test_only_what_changed_is_written_and_what_went_is_removed() -> None:
    before = Held(lots={"A": Lot(qty=1, price=Decimal(1)), "B": Lot(qty=2, price=Decimal(2))})
    after = Held(lots={"B": Lot(qty=2, price=Decimal(2)), "C": Lot(qty=3, price=Decimal(3))})
    fields, removed = changes(before, after)
    assert list(fields) == ["lots:C"]
    assert removed == ["lots:A"]


def test_fields_of_others_are_ignored_and_broken_ones_stop_the_service() -> None:
    assert state_from(Held(), {"seq": "4", "version": "2"}) == Held()
    with pytest.raises(InvariantBroken, match="cash"):
        state_from(Held(), {"cash": "not json"})


class Outer(Value, frozen=True, kw_only=True):
    book: Held = Held()
    name: str = ""


def test_a_part_with_dicts_is_laid_out_under_its_name() -> None:
    before = Outer(book=Held(lots={"A": Lot(qty=1, price=Decimal(1))}))
    after = Outer(book=Held(cash=Decimal(5), lots={"B:C": Lot(qty=2, price=Decimal(2))}), name="n")
    fields, removed = changes(before, after)
    assert set(fields) == {"book.cash", "book.lots:B:C", "name"}
    assert removed == ["book.lots:A"]
    assert state_from(Outer(), fields) == after


def test_a_symbol_with_a_colon_keeps_its_name() -> None:
    fields, _ = changes(Held(), Held(lots={"BRK:B": Lot(qty=1, price=Decimal(1))}))
    assert "BRK:B" in state_from(Held(), fields).lots
