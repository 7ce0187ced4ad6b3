"""Money: never more than the session's budget or the cash, whatever is filled, ended and when."""

from decimal import Decimal

from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from shared.domain.risk.book import Book
from shared.schemas.values import Ending, ScanRef
from tests.builders import NOON, scan_ref
from tests.unit.risk_gate.desk import (
    LATER_AT,
    LOOSE,
    RETRY_AT,
    D,
    Desk,
    approved,
    decided,
    denied,
    gate_settings,
    leave,
    scan_at,
    signal,
)

SLOTS = (scan_ref(), scan_at(RETRY_AT), scan_at(LATER_AT), scan_at(NOON))
SEVENTY = "69.93"
"""A quote whose limit is $70.00 exactly: one share an order."""


def test_three_hundred_and_twenty_orders_of_70_dollars_get_exactly_14_from_1000() -> None:
    desk = Desk(gate_settings(LOOSE)).open()
    signals = [
        signal(f"S{n:03}", reference_price=D(70), stop=D(60), target=D(90)) for n in range(320)
    ]
    said = desk.scan(signals, price=SEVENTY)
    assert [(order.qty, order.limit_price) for order in approved(said)] == [(1, D("70.00"))] * 14
    assert desk.state.book.used == D(980)
    assert set(denied(said).values()) == {("exceeds_daily_budget",)}


def test_the_same_320_in_scans_of_one_get_exactly_14_too() -> None:
    desk = Desk(gate_settings(LOOSE)).open()
    count = 0
    for number in range(320):
        ref = scan_ref(id=f"SCAN_{number}")
        wish = signal(f"S{number:03}", reference_price=D(70), stop=D(60), target=D(90))
        count += len(approved(desk.scan([wish], ref=ref, price=SEVENTY)))
    assert count == 14


def test_a_denial_spends_nothing() -> None:
    desk = Desk().open()
    before = desk.state.book
    desk.scan([signal(stop=D(10))])
    after = desk.state.book
    assert (after.used, after.cash, after.reservations) == (before.used, before.cash, {})


def test_cash_short_of_the_order_is_refused_and_never_goes_negative() -> None:
    desk = Desk().open(cash="100")
    said = desk.scan([signal("AAPL"), signal("IBM")])
    assert [order.symbol for order in approved(said)] == ["AAPL"]
    assert denied(said) == {"IBM": ("insufficient_cash",)}
    assert desk.state.book.cash == D("29.93")


def test_what_an_exit_brings_is_there_for_the_entries_of_its_scan() -> None:
    desk = Desk().open(cash="30").hold("MSFT")
    entries = desk.execute(desk.scan([signal()], [leave("MSFT")]))
    assert [order.symbol for order in approved(entries)] == ["AAPL"]
    assert desk.state.book.cash == D("30") + D(50) - D("70.07")


def test_what_arrives_while_a_scan_is_under_way_does_not_change_its_verdicts() -> None:
    """Fills heard early or late: the second scan sees the same money until the first is settled."""
    verdicts = []
    for early in (True, False):
        desk = Desk().open(cash="140")
        first = desk.scan([signal()])
        if early:
            desk.fill(approved(first)[0], price="9.00")
            desk.end(approved(first)[0], Ending.FILLED, 7)
        verdicts.append(desk.scan([signal("IBM")], ref=scan_at(RETRY_AT)))
    assert verdicts[0] == verdicts[1]
    assert denied(verdicts[0]) == {"IBM": ("insufficient_cash",)}


orders = st.tuples(
    st.sampled_from([f"S{number}" for number in range(12)]),
    st.sampled_from(["donchian", "turtle_soup"]),
)
fates = st.tuples(st.integers(0, 100), st.sampled_from(Ending), st.booleans(), st.booleans())
"""Percent filled, how it ended, whether that is known yet, whether the scan is executed."""


@settings(max_examples=120)
@given(
    scans=st.lists(
        st.tuples(st.lists(orders, max_size=30), st.sampled_from(SLOTS), st.booleans()), max_size=6
    ),
    dealt=st.lists(fates, min_size=1, max_size=40),
    price=st.decimals("3.10", "74.00", places=2),
    budget=st.integers(0, 1000),
)
def test_under_any_course_of_scans_fills_and_endings_the_budget_holds(
    scans: list[tuple[list[tuple[str, str]], ScanRef, bool]],
    dealt: list[tuple[int, Ending, bool, bool]],
    price: Decimal,
    budget: int,
) -> None:
    desk = Desk(
        gate_settings({**LOOSE, "daily_notional": {"maximum": str(budget)}}), restarting=True
    ).open(cash="700")
    ids: set[str] = set()
    spent = D(0)
    turn = 0
    for number, (wishes, slot, repeat) in enumerate(scans):
        ref = replace(slot, id=f"{slot.id}_{number}")
        signals = [
            signal(name, strategy=strategy, reference_price=price, stop=price / 2, target=price * 2)
            for name, strategy in wishes
        ]
        said = desk.scan(signals, ref=ref, price=str(price))
        if repeat:
            assert desk.scan(signals, ref=ref, price=str(price)) == []
        for order in approved(said):
            assert order.client_order_id not in ids
            ids.add(order.client_order_id)
            share, ending, ends, _ = dealt[turn % len(dealt)]
            turn += 1
            filled = order.qty * share // 100
            desk.fill(order, filled, price=str(min(price, order.limit_price)))
            spent += filled * min(price, order.limit_price)
            if ends:
                desk.end(order, ending, filled)
        if dealt[turn % len(dealt)][3]:
            desk.executed(decided(said))
        hold_to_account(desk.state.book, spent, D(budget))


def hold_to_account(book: Book, spent: Decimal, budget: Decimal) -> None:
    waiting = sum(
        (held.unfilled_notional for held in book.reservations.values() if not held.ended), D(0)
    )
    assert spent + waiting <= book.used <= budget
    assert book.cash >= 0
