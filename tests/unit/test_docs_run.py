"""The Python blocks of the documentation run, section by section, and do what the text says."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.data_fetcher.vendor_registry import VendorPlace
from services.executor.brokers.protocol import Broker, Kind, OrderRequest, SubmitResult
from shared.domain.errors import UserError
from shared.schemas.values import Mode, Side
from tests.servers_http import answering
from tests.unit.executor.broker_places import place

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "extending.md"
# Saved where the page says and run by their contract suites: tests/integration/test_extending.py.
PROVED_IN_PLACE = {"A strategy", "A rule"}


def sections(page: str) -> dict[str, list[str]]:
    """Heading of the second level -> its Python blocks."""
    parts = re.split(r"^## (.+)$", (DOCS / page).read_text(), flags=re.MULTILINE)
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return {
        heading: re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
        for heading, text in pairs
    }


def run(heading: str) -> dict[str, Any]:
    """The names a section's blocks define, run in one module from top to bottom."""
    names: dict[str, Any] = {"__name__": heading}
    for block in sections(PAGE)[heading]:
        exec(compile(block, f"{PAGE}: {heading}", "exec", dont_inherit=True), names)
    return names


@pytest.mark.parametrize("heading", sorted(set(sections(PAGE)) - PROVED_IN_PLACE))
def test_every_code_block_of_a_section_runs(heading: str) -> None:
    assert run(heading)


def test_the_broker_of_the_page_takes_an_order_once_and_refuses_a_live_account() -> None:
    names = run("A broker")
    broker = names["connect"](place()).broker
    order = OrderRequest(
        client_order_id="k81-one",
        symbol="AAPL",
        side=Side.BUY,
        qty=2,
        kind=Kind.IMMEDIATE,
        limit_price=Decimal(100),
    )
    answers = [broker.submit(order).result for _ in range(2)]
    assert answers == [SubmitResult.ACCEPTED, SubmitResult.EXISTS]
    assert (int(broker.position("AAPL").qty), broker.account().cash) == (2, Decimal(99_800))
    promised = {name for name in vars(Broker) if not name.startswith("_")}
    assert promised <= set(dir(broker))
    with pytest.raises(UserError, match="no live account"):
        names["connect"](place(mode=Mode.LIVE))


def test_the_vendor_of_the_page_reads_bars_and_loses_only_the_bad_row() -> None:
    names = run("A vendor")
    good = {"o": 1.0, "h": 2.0, "l": 1.0, "c": 2.0, "v": 5}
    rows = [{**good, "date": f"2020-01-0{day}"} for day in (2, 3)] + [
        {**good, "date": "2020-01-06", "o": "x"},
        {"date": 7},
    ]
    answers = [(200, json.dumps({"bars": rows}).encode()), (404, b"{}")]
    with answering(answers) as server:
        vendor = names["bars"](VendorPlace(urls={"plainbars": server.url}))
        bars = vendor.daily_bars(("AAA", "ZZZ"), None, None)
    assert bars.symbols == ("AAA",)
    assert bars.session.tolist() == [dt.date(2020, 1, day) for day in (2, 3, 6)]
    assert np.isnan(bars.open).tolist() == [False, False, True]
