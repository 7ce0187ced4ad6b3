"""The market data the exchange needs; implemented by services/sim_broker/archive_market_data.py."""

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Protocol

from shared.schemas.values import Bar


class MarketData(Protocol):
    def bar(self, symbol: str, session: dt.date) -> Bar | None:
        """The symbol's bar; None if it did not trade that day or is unknown."""
        ...

    def symbols(self) -> Collection[str]: ...

    def sessions(self) -> Sequence[dt.date]:
        """Every trading day in order; the list may grow."""
        ...
