"""Starts the data-fetcher: chooses the vendors by name, opens the archive as its one writer, and runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from services.data_fetcher.archive_updater import BarKeeper, Universe
from services.data_fetcher.handlers import COUNTERS, HANDLERS, State, counts, gauges
from services.data_fetcher.mirrored_vendor import Endless
from services.data_fetcher.vendor_registry import VendorPlace, bars_vendor, quotes_vendor
from services.data_fetcher.work import DataFetcherWork
from shared.runtime.calendar.xnys import Xnys
from shared.runtime.config.settings import Settings
from shared.runtime.runner.contract import Service
from shared.runtime.runner.wiring import Wiring, run_service
from shared.schemas.streams import ServiceName


def vendor_place(settings: Settings) -> VendorPlace:
    environment, folder = settings.environment, settings.config.bars.folder
    return VendorPlace(
        folder=Path(folder) if folder else None,
        data_url=environment.broker_data_url,
        key_id=environment.broker_key_id,
        secret_key=environment.broker_secret_key,
    )


def keeper(settings: Settings) -> BarKeeper:
    """UserError for a vendor that is not there."""
    bars, table = settings.config.bars, settings.config.universe
    universe = Universe(
        symbols=table.symbols,
        maximum=table.maximum,
        history_years=bars.history_years,
        minimum_coverage=bars.minimum_coverage,
    )
    vendor = bars_vendor(bars.vendor, vendor_place(settings))
    replayed = settings.config.timetable
    if replayed.clock == "replay" and replayed.loop:
        vendor = Endless(vendor, sessions)
    return BarKeeper(settings.environment.archive_dir, bars.vendor, vendor, universe)


def sessions(after: dt.date, through: dt.date) -> Sequence[dt.date]:
    """The exchange's; asked only when the archive ends too early."""
    return Xnys(after, through).sessions(after, through)


def build(wiring: Wiring) -> Service[State, None]:
    settings = wiring.settings
    quotes = quotes_vendor(settings.config.quotes.vendor, vendor_place(settings))
    return Service(
        name=ServiceName.DATA_FETCHER,
        initial=State(),
        handlers=HANDLERS,
        settings=None,
        work=DataFetcherWork(keeper(settings), quotes, wiring.clock, sessions),
        gauges=gauges,
        counters=COUNTERS,
        counts=counts,
    )


if __name__ == "__main__":
    run_service(ServiceName.DATA_FETCHER, build)
