"""What a vendor may offer, and how it is found.

One file a vendor in vendors/, by its name; no list to edit.

`vendors/<name>.py` has one or more of `bars(place)`, `quotes(place)`, `actions(place)` and
`listings(place)`, each returning what its Protocol here asks for.
"""

import datetime as dt
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from services.data_fetcher.vendor_http.client import BARS, Patience
from services.data_fetcher.vendor_http.request_budget import (
    LocalBudget,
    Rate,
    RequestBudget,
    Unlimited,
)
from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars
from shared.domain.market.refusals import RefusedBar
from shared.domain.spelling import did_you_mean
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.config.environment import Secret
from shared.runtime.config.settings import CONFIG_PIN_ERROR
from shared.schemas.corporate_actions import CorporateActions, Removal, Rename
from shared.schemas.values import Quote

BudgetOf = Callable[[str, str, int], RequestBudget]
"""The request budget of a vendor's name, a key, and the requests a minute its plan allows (0.

No limit).
"""


def local_budget(clock: Clock) -> BudgetOf:
    """Budgets that this process alone knows."""

    def budget(_vendor: str, _key: str, per_minute: int) -> RequestBudget:
        return LocalBudget(Rate(per_minute), clock) if per_minute else Unlimited()

    return budget


UNSET = Secret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorPlace:
    """Where a vendor finds its data and its keys, and what its plan allows.

    Each takes what it needs.
    """

    folder: Path | None = None
    accept_flawed: bool = False
    """Whether flawed bars in files are left out, instead of stopping."""
    splits: Path | None = None
    """A file of splits for unadjusted bars in files."""
    data_url: str = ""
    trading_url: str = ""
    key_id: Secret = UNSET
    secret_key: Secret = UNSET
    massive_key: Secret = UNSET
    urls: Mapping[str, str] = field(default_factory=dict)
    """Where other vendors than the broker answer, by their names, if not at their usual address."""
    basis: Basis = Basis.RAW
    """On which basis bars are asked for, of vendors that have both.

    Orders rest on raw ones alone.
    """
    quotes_feed: str = ""
    order: tuple[str, ...] = ()
    """Which vendors `multi` tries, first to last."""
    requests_per_minute: Mapping[str, int] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    budget: BudgetOf | None = None
    patience: Patience = BARS

    def budget_of(self, vendor: str, key: str) -> RequestBudget:
        budget = self.budget or local_budget(self.clock)
        return budget(vendor, key, self.requests_per_minute.get(vendor, 0))


class BarsVendor(Protocol):
    @property
    def basis(self) -> Basis:
        """How its prices are adjusted."""
        ...

    def source(self) -> str:
        """A digest of all it holds, where that is at hand (files).

        "" where bars are asked for over a network.
        """
        ...

    def symbols(self) -> tuple[str, ...]:
        """All it offers, in order; () if it cannot say."""
        ...

    def daily_bars(
        self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
    ) -> Bars:
        """Bars with start <= session <= end (None.

        No bound), none refused yet; a symbol without any is left out.

        A row that is no bar comes with NaN for what is wrong in it, and is refused by the domain.
        Raises TransientError if the vendor does not answer, UserError if it never will.
        """
        ...


@runtime_checkable
class RefusingVendor(Protocol):
    """A vendor that judges its bars while it reads them: files, whose rows can be named."""

    def refusals(self) -> Sequence[RefusedBar]:
        """The rows that are no usable bars, with file and row; the archive remembers them."""
        ...


class QuotesVendor(Protocol):
    def latest_quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Two-sided quotes.

        A symbol without one is left out. Raises TransientError if it does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class NameChanges:
    """Renames and removals, each by date."""

    renames: tuple[Rename, ...] = ()
    removals: tuple[Removal, ...] = ()


class ActionsVendor(Protocol):
    def corporate_actions(
        self, symbols: Sequence[str], start: dt.date, end: dt.date
    ) -> CorporateActions:
        """Splits and dividends with start <= ex date <= end.

        Those already announced for the future too.
        """
        ...

    def name_changes(self, symbols: Sequence[str], start: dt.date, end: dt.date) -> NameChanges:
        """Renames of these symbols, and their removals, with start <= date <= end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareListing:
    """One share as the vendor's reference lists it.

    `identity` (FIGI, asset id) outlives a ticker.
    """

    symbol: str
    name: str
    exchange: str
    identity: str = ""
    delisted: bool = False
    options: bool | None = None
    """None where the vendor has to be asked symbol by symbol."""


class ListingsVendor(Protocol):
    def listings(self, as_of: dt.date) -> list[ShareListing]:
        """The common stocks listed on a day, by symbol, those delisted since among them."""
        ...

    def has_options(self, listing: ShareListing, as_of: dt.date) -> str:
        """What proves that options on it existed then (a contract, a flag); "" if nothing does."""
        ...


def bars_vendor(name: str, place: VendorPlace) -> BarsVendor:
    """Raises UserError for a name that no vendor of bars has."""
    vendor: BarsVendor = _offer("bars", name)(place)
    return vendor


def quotes_vendor(name: str, place: VendorPlace) -> QuotesVendor:
    """Raises UserError for a name that no vendor of quotes has."""
    vendor: QuotesVendor = _offer("quotes", name)(place)
    return vendor


def actions_vendor(name: str, place: VendorPlace) -> ActionsVendor | None:
    """None where the vendor has bars and nothing else.

    Raises UserError for a name that no vendor has.
    """
    if name in _names() and not hasattr(_module(name), "actions"):
        return None
    vendor: ActionsVendor = _offer("actions", name)(place)
    return vendor


def listings_vendor(name: str, place: VendorPlace) -> ListingsVendor:
    """Raises UserError for a name that no vendor of listings has."""
    vendor: ListingsVendor = _offer("listings", name)(place)
    return vendor


def offering(what: str) -> list[str]:
    """Names of the vendors of `bars`, `quotes`, `actions` or `listings`."""
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
    folder = str(Path(__file__).with_name("vendors"))
    return sorted(module.name for module in pkgutil.iter_modules([folder]))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"services.data_fetcher.vendors.{name}")
