import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from services.auditor.evidence.explain import explain
from services.auditor.stream_sweep import StreamEntry
from shared.domain.errors import UserError
from shared.runtime.signing import Signer
from shared.schemas.envelope import to_fields
from shared.schemas.messages import BarsReady, Message, OrderApproved, QuotesSeen, ScanCompleted
from shared.schemas.streams import STREAM_OF
from shared.schemas.values import Direction, Quote, Signal
from tests.builders import NOON, SESSION, approval, envelope, scan_ref
from tests.unit.auditor.chains import DAY, begun

DECISION = "DEC_20240105_143500_AAPL_ABCDEF"


def signal(symbol: str) -> Signal:
    return Signal(
        session=dt.date(2024, 1, 4),
        symbol=symbol,
        strategy="donchian",
        direction=Direction.LONG,
        reference_price=Decimal("180.00"),
        stop=Decimal("170.00"),
        target=None,
        time_stop_bars=20,
        score=Decimal("1.5"),
        reason="breakout",
        indicators={"highest": Decimal("179.50")},
    )


def quote(symbol: str) -> Quote:
    return Quote(symbol=symbol, bid=Decimal("179.99"), ask=Decimal("180.01"), at=NOON)


def another(message: OrderApproved) -> OrderApproved:
    return approval(
        symbol="MSFT",
        decision_id="DEC_OTHER",
        client_order_id="k81-other",
        signal_id="s2",
        scan_id=message.scan_id,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scan = scan_ref()
    bars = BarsReady(
        scan=scan,
        through=scan.last_completed,
        digest="bars",
        symbols=2,
        coverage=Decimal(1),
        sufficient=True,
        stale=(),
        refused={},
    )
    found = ScanCompleted(
        scan=scan,
        part=1,
        parts=1,
        exits=(),
        signals=(signal("AAPL"), signal("MSFT")),
        bars_digest="bars",
    )
    quotes = QuotesSeen(
        scan=scan, part=1, parts=1, quotes=(quote("AAPL"), quote("MSFT")), unquoted=()
    )
    messages: list[Message] = [bars, found, quotes, another(approval()), approval()]
    journal = begun(tmp_path, Signer.generate())
    for number, message in enumerate(messages, start=1):
        fields = to_fields(envelope(message, seq=number))
        journal.append(
            [StreamEntry(STREAM_OF[type(message)].key, f"{number}-0", fields).payload()], day=DAY
        )
    other = to_fields(envelope(bars, seq=9, correlation_id="SCAN_OTHER", session=SESSION))
    journal.append([StreamEntry("kobe:bars", "9-0", other).payload()], day=DAY)
    journal.close()
    return tmp_path


def test_all_that_led_to_a_decision_is_told_in_order_and_of_its_symbol_alone(folder: Path) -> None:
    told = explain(folder, DECISION)
    assert (told.symbol, told.approved, told.scan_id) == ("AAPL", True, "SCAN_20240105_143500")
    assert [step.type for step in told.steps] == [
        "BarsReady",
        "ScanCompleted",
        "QuotesSeen",
        "OrderApproved",
    ]
    bars, found, quotes, decision = told.steps
    assert bars.facts["digest"] == found.facts["bars_digest"] == "bars"
    assert [each["indicators"] for each in found.facts["signals"]] == [{"highest": "179.50"}]
    assert [each["symbol"] for each in quotes.facts["quotes"]] == ["AAPL"]
    assert decision.facts["limit_price"] == "180.19"
    assert (decision.index, decision.config_pin, decision.code_digest) == (5, "pin", "code")


def test_a_decision_that_is_not_in_the_chain_is_one_sentence(folder: Path) -> None:
    with pytest.raises(UserError, match="holds no decision"):
        explain(folder, "DEC_NEVER")
