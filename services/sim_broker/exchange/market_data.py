"""What the exchange needs of the bars: one symbol's session at a time. Implemented by the archive's adapter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Protocol

from shared.schemas.values import Bar


class Bars(Protocol):
    def bar(self, symbol: str, session: dt.date) -> Bar | None:
        """None for a symbol that did not trade that day, or that is not known."""
        ...

    def symbols(self) -> Collection[str]: ...

    def sessions(self) -> Sequence[dt.date]:
        """Every trading day, in order; it may grow."""
        ...
