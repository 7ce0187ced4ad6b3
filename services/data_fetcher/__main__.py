"""Starts the data-fetcher.

Chooses the vendors by name, opens the archive as its one writer, and runs.
"""

import datetime as dt
from collections.abc import Sequence

from services.data_fetcher.actions_check import ActionsCheck
from services.data_fetcher.archive_updater import ArchiveUpdater, Universe
from services.data_fetcher.handlers import COUNTERS, HANDLERS, State, counts, gauges
from services.data_fetcher.mirrored_vendor import Endless
from services.data_fetcher.vendor_place import redis_budget, vendor_place
from services.data_fetcher.vendor_registry import (
    VendorPlace,
    actions_vendor,
    bars_vendor,
    quotes_vendor,
)
from services.data_fetcher.work import DataFetcherWork
from shared.runtime.bus.redis_connection import Address
from shared.runtime.calendar.xnys import Xnys
from shared.runtime.clock import Clock
from shared.runtime.config.settings import Settings
from shared.runtime.runner.contract import Service
from shared.runtime.runner.wiring import Wiring, run_service
from shared.schemas.streams import ServiceName


def place(settings: Settings, clock: Clock) -> VendorPlace:
    environment = settings.environment
    address = Address.parse(
        environment.redis_url,
        username=environment.redis_user,
        password=environment.redis_password.reveal(),
    )
    return vendor_place(settings, clock=clock, budget=redis_budget(address))


def archive_updater(settings: Settings, clock: Clock) -> ArchiveUpdater:
    """UserError for a vendor that is not there."""
    bars, table = settings.config.bars, settings.config.universe
    universe = Universe(
        symbols=table.symbols,
        maximum=table.maximum,
        history_years=bars.history_years,
        minimum_coverage=bars.minimum_coverage,
    )
    vendor = bars_vendor(bars.vendor, place(settings, clock))
    replayed = settings.config.timetable
    if replayed.clock == "replay" and replayed.loop:
        vendor = Endless(vendor, sessions)
    return ArchiveUpdater(
        settings.environment.archive_dir,
        bars.vendor,
        vendor,
        universe,
        actions=actions_vendor(bars.vendor, place(settings, clock)),
        mirror=settings.environment.archive_url,
    )


def actions_check(settings: Settings, clock: Clock) -> ActionsCheck | None:
    """None where the vendor of bars announces nothing."""
    name = settings.config.bars.vendor
    vendor = actions_vendor(name, place(settings, clock))
    return ActionsCheck(name, vendor) if vendor else None


def sessions(after: dt.date, through: dt.date) -> Sequence[dt.date]:
    """The exchange's; asked only when the archive ends too early."""
    return Xnys(after, through).sessions(after, through)


def build(wiring: Wiring) -> Service[State, None]:
    settings = wiring.settings
    quotes = quotes_vendor(settings.config.quotes.vendor, place(settings, wiring.clock))
    return Service(
        name=ServiceName.DATA_FETCHER,
        initial=State(),
        handlers=HANDLERS,
        settings=None,
        work=DataFetcherWork(
            archive_updater(settings, wiring.clock),
            quotes,
            wiring.clock,
            sessions,
            actions_check(settings, wiring.clock),
        ),
        gauges=gauges,
        counters=COUNTERS,
        counts=counts,
    )


if __name__ == "__main__":
    run_service(ServiceName.DATA_FETCHER, build)
