import datetime as dt

import pytest

from shared.domain.errors import InvariantBroken
from shared.runtime.runner.contract import Context, Trigger, handler_table, on
from shared.schemas.messages import BarsDue
from tests.builders import NOON
from tests.unit.runtime.service_bench import Seen, on_bars_due

DUE = BarsDue(through=dt.date(2024, 1, 4))
CONTEXT = Context(None, Trigger("id", NOON, NOON.date(), "scan"))


def test_a_table_hands_each_message_to_its_handler() -> None:
    table = handler_table(on(BarsDue, on_bars_due))
    state, _ = table[BarsDue](Seen(), DUE, CONTEXT)
    assert state.count == 1


def test_a_type_may_stand_in_a_table_only_once() -> None:
    with pytest.raises(InvariantBroken, match="two handlers"):
        handler_table(on(BarsDue, on_bars_due), on(BarsDue, on_bars_due))


def test_a_message_that_reaches_another_types_handler_is_a_broken_invariant() -> None:
    table = handler_table(on(BarsDue, on_bars_due))
    with pytest.raises(InvariantBroken, match="came to the handler"):
        table[BarsDue](Seen(), Seen(), CONTEXT)
