from decimal import Decimal

from services.console.stack.reader import StreamMessage
from services.console.stack.sim_broker_client import count_duplicates
from services.console.views.order_history import order_rows
from services.console.views.run_summary import RunSummary, add_message
from shared.schemas import messages as m
from shared.schemas.values import Ending, Purpose, Reason, Side, Slot, Stage
from tests.builders import NOON, SESSION, approval, envelope


def denied(*reasons: Reason) -> m.OrderDenied:
    return m.OrderDenied(
        scan_id="s",
        slot=Slot.OPEN,
        signal_id="s2",
        decision_id="DEC_2",
        strategy="donchian",
        symbol="MSFT",
        side=Side.BUY,
        purpose=Purpose.ENTRY,
        qty=1,
        limit_price=Decimal("10.00"),
        reasons=reasons,
    )


def filled(**changes: object) -> m.OrderFilled:
    values: dict[str, object] = {
        "client_order_id": approval().client_order_id,
        "decision_id": approval().decision_id,
        "strategy": "donchian",
        "symbol": "AAPL",
        "side": Side.BUY,
        "purpose": Purpose.ENTRY,
        "session": SESSION,
        "qty": 3,
        "price": Decimal("180.10"),
        "cumulative_qty": 3,
        "time_stop_bars": 20,
        "stop": Decimal("170.00"),
        "filled_at": NOON,
    }
    return m.OrderFilled(**{**values, **changes})  # type: ignore[arg-type]


def ended(ending: Ending, **changes: object) -> m.OrderEnded:
    values: dict[str, object] = {
        "client_order_id": approval().client_order_id,
        "decision_id": approval().decision_id,
        "strategy": "donchian",
        "symbol": "AAPL",
        "side": Side.BUY,
        "purpose": Purpose.ENTRY,
        "ending": ending,
        "filled_qty": 3,
        "average_price": Decimal("180.10"),
    }
    return m.OrderEnded(**{**values, **changes})  # type: ignore[arg-type]


def heard(message: m.Message) -> StreamMessage:
    return StreamMessage("1-0", envelope(message), message)


def test_the_tally_counts_what_was_said() -> None:
    tally = RunSummary()
    account = m.AccountSeen(
        session=SESSION,
        stage=Stage.MARK,
        account_number="SIM1",
        cash=Decimal(1),
        equity=Decimal(100_001),
        buying_power=Decimal(1),
        blocked=False,
        open_orders=0,
        holdings=(),
        drift=(),
    )
    for message in (
        approval(),
        denied(Reason.SYMBOL_HELD, Reason.COLLAR),
        filled(),
        account,
        m.SessionClosed(session=SESSION),
    ):
        tally = add_message(tally, message)
    assert (tally.approved, tally.denied, tally.fills) == (1, {"symbol_held": 1}, 1)
    assert (tally.equity, tally.sessions, tally.session) == (Decimal(100_001), 1, "2024-01-05")


def test_orders_bear_the_state_words_of_old() -> None:
    rows = order_rows([heard(approval()), heard(denied(Reason.COLLAR))], [])
    assert [(row.state, row.why) for row in rows] == [("APPROVED", ""), ("VETOED", "collar")]
    rows = order_rows([heard(approval())], [heard(filled()), heard(ended(Ending.FILLED))])
    assert (rows[0].state, rows[0].filled_qty, rows[0].price) == ("FILLED", 3, Decimal("180.10"))
    assert order_rows([heard(approval())], [heard(ended(Ending.CANCELED))])[0].state == "CANCELLED"


def test_a_protection_of_the_same_decision_does_not_touch_the_entrys_row() -> None:
    stop = ended(Ending.CANCELED, purpose=Purpose.PROTECT)
    rows = order_rows([heard(approval())], [heard(ended(Ending.FILLED)), heard(stop)])
    assert rows[0].state == "FILLED"


def test_doubled_orders_are_ids_taken_twice_and_ids_never_sent() -> None:
    orders = [{"client_order_id": name} for name in ("k81-a", "k81-b", "k81-b", "k81-x", "by-hand")]
    assert count_duplicates(orders, ["k81-a", "k81-b"]) == 2
    assert count_duplicates(orders[:2], ["k81-a", "k81-b"]) == 0


def test_equity_is_taken_at_the_mark_only() -> None:
    early = m.AccountSeen(
        session=SESSION,
        stage=Stage.OPEN,
        account_number="SIM1",
        cash=Decimal(1),
        equity=Decimal(7),
        buying_power=Decimal(1),
        blocked=False,
        open_orders=0,
        holdings=(),
        drift=("AAPL",),
    )
    tally = add_message(RunSummary(), early)
    assert (tally.equity, tally.drift) == (Decimal(0), ("AAPL",))
