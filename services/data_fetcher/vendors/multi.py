"""Several vendors in order: each question is answered whole by one of them, the first that can.

The order is kobe.toml's [vendors] order; one whose key is missing is passed over. Answers are never
spliced from two, and all of them must be on one basis: vendors of another one are refused at start.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from services.data_fetcher import vendor_registry as registry
from services.data_fetcher.vendor_http.refusals import KeyRefused, PlanRefused
from services.data_fetcher.vendor_registry import (
    ActionsVendor,
    BarsVendor,
    ListingsVendor,
    NameChanges,
    ShareListing,
    VendorPlace,
)
from shared.domain.errors import TransientError, UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars
from shared.runtime.config.environment import MISSING_KEYS
from shared.runtime.config.settings import CONFIG_PIN_ERROR
from shared.runtime.observability.log import logger
from shared.schemas.corporate_actions import CorporateActions

NAME = "multi"
VendorT = TypeVar("VendorT")
T = TypeVar("T")
PASSED_ON = (TransientError, KeyRefused, PlanRefused)
"""What the next vendor may do better; any other failure is of the question itself."""


class _InOrder(Generic[VendorT]):
    """Vendors by name, in the order they are asked."""

    def __init__(self, vendors: Sequence[tuple[str, VendorT]]) -> None:
        self.vendors = vendors

    def ask(self, question: Callable[[VendorT], T]) -> T:
        """The first whole answer. Raises the first vendor's failure if all fail.

        It was meant to answer.
        """
        failures: list[UserError | TransientError] = []
        for name, vendor in self.vendors:
            try:
                return question(vendor)
            except PASSED_ON as error:
                logger().warning("vendor_passed_over", vendor=name, reason=str(error))
                failures.append(error)
        raise failures[0]


class MultiBars:
    def __init__(self, vendors: Sequence[tuple[str, BarsVendor]]) -> None:
        """Raises UserError if they are not all on one basis."""
        bases = {vendor.basis for _, vendor in vendors}
        if len(bases) > 1:
            on = ", ".join(f"{name} is {vendor.basis}" for name, vendor in vendors)
            raise UserError(
                f"Vendors in [vendors] order must be on one basis, but {on}: name those of one.",
                exit_code=CONFIG_PIN_ERROR,
            )
        self._vendors = _InOrder(vendors)

    @property
    def basis(self) -> Basis:
        return self._vendors.vendors[0][1].basis

    def source(self) -> str:
        return ""

    def symbols(self) -> tuple[str, ...]:
        return ()

    def daily_bars(
        self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
    ) -> Bars:
        return self._vendors.ask(lambda vendor: vendor.daily_bars(symbols, start, end))


class MultiActions:
    def __init__(self, vendors: Sequence[tuple[str, ActionsVendor]]) -> None:
        self._vendors = _InOrder(vendors)

    def corporate_actions(
        self, symbols: Sequence[str], start: dt.date, end: dt.date
    ) -> CorporateActions:
        return self._vendors.ask(lambda vendor: vendor.corporate_actions(symbols, start, end))

    def name_changes(self, symbols: Sequence[str], start: dt.date, end: dt.date) -> NameChanges:
        return self._vendors.ask(lambda vendor: vendor.name_changes(symbols, start, end))


class MultiListings:
    def __init__(self, vendors: Sequence[tuple[str, ListingsVendor]]) -> None:
        self._vendors = _InOrder(vendors)

    def listings(self, as_of: dt.date) -> list[ShareListing]:
        return self._vendors.ask(lambda vendor: vendor.listings(as_of))

    def has_options(self, listing: ShareListing, as_of: dt.date) -> str:
        return self._vendors.ask(lambda vendor: vendor.has_options(listing, as_of))


def bars(place: VendorPlace) -> MultiBars:
    return MultiBars(_with_keys(registry.bars_vendor, place))


def actions(place: VendorPlace) -> MultiActions:
    found = _with_keys(registry.actions_vendor, place)
    return MultiActions([(name, vendor) for name, vendor in found if vendor is not None])


def listings(place: VendorPlace) -> MultiListings:
    return MultiListings(_with_keys(registry.listings_vendor, place))


def _with_keys(
    find: Callable[[str, VendorPlace], VendorT], place: VendorPlace
) -> list[tuple[str, VendorT]]:
    """Raises UserError if the order names nobody, or nobody whose key is there."""
    found, missing = [], []
    for name in place.order:
        if name == NAME:
            raise UserError(
                "[vendors] order names 'multi' itself; name the vendors it shall try.",
                exit_code=CONFIG_PIN_ERROR,
            )
        try:
            found.append((name, find(name, place)))
        except UserError as error:
            if error.exit_code != MISSING_KEYS:
                raise
            missing.append(str(error))
    if not found:
        reason = " ".join(missing) or "[vendors] order in kobe.toml names none."
        raise UserError(
            f"The vendor 'multi' has nobody to ask: {reason}",
            exit_code=MISSING_KEYS if missing else CONFIG_PIN_ERROR,
        )
    return found
