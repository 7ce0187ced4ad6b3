"""What a vendor offers: bars, quotes, or both. One file a vendor in vendors/, found by its name; no list to edit.

`vendors/<name>.py` has `bars(place) -> BarsVendor` or `quotes(place) -> QuotesVendor`, or both.
"""

from __future__ import annotations

import datetime as dt
import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from services.data_fetcher import vendors
from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars
from shared.domain.spelling import did_you_mean
from shared.runtime.config.environment import Secret
from shared.runtime.config.settings import CONFIG_PIN_ERROR
from shared.schemas.values import Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorPlace:
    """Where a vendor finds its data and its keys; each takes what it needs."""

    folder: Path | None
    data_url: str
    key_id: Secret
    secret_key: Secret


class BarsVendor(Protocol):
    @property
    def basis(self) -> Basis:
        """How its prices are adjusted."""
        ...

    def source(self) -> str:
        """A digest of all it holds, where that is at hand (files); "" where bars are asked for over a network."""
        ...

    def symbols(self) -> tuple[str, ...]:
        """All it offers, in order; () if it cannot say."""
        ...

    def daily_bars(
        self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
    ) -> Bars:
        """Bars with start <= session <= end (None: no bound), none refused yet; a symbol without any is left out.

        TransientError if it does not answer; UserError if it never will."""
        ...


class QuotesVendor(Protocol):
    def latest_quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Two-sided quotes; a symbol without one is left out. TransientError if it does not answer."""
        ...


def bars_vendor(name: str, place: VendorPlace) -> BarsVendor:
    """UserError for a name that no vendor of bars has."""
    vendor: BarsVendor = _offer("bars", name)(place)
    return vendor


def quotes_vendor(name: str, place: VendorPlace) -> QuotesVendor:
    """UserError for a name that no vendor of quotes has."""
    vendor: QuotesVendor = _offer("quotes", name)(place)
    return vendor


def offering(what: str) -> list[str]:
    """Names of the vendors of `bars` or `quotes`."""
    return [name for name in _names() if hasattr(_module(name), what)]


def _offer(what: str, name: str) -> Any:
    known = offering(what)
    if name in known:
        return getattr(_module(name), what)
    if name in _names():
        sentence = f"The vendor {name!r} has no {what}; these have: {', '.join(known)}."
    else:
        sentence = (
            f"There is no vendor {name!r} ({what}.vendor in kobe.toml); {did_you_mean(name, known)}"
        )
    raise UserError(sentence, exit_code=CONFIG_PIN_ERROR)


def _names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(vendors.__path__))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{vendors.__name__}.{name}")
