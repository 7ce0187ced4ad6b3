"""From settings to what a vendor needs.

Keys, addresses, plan, and the request budget it shares with others.

Called by the service's `__main__` and by the commands that ask vendors.
"""

from pathlib import Path

from services.data_fetcher.vendor_http.request_budget import (
    Rate,
    RedisBudget,
    RequestBudget,
    Unlimited,
)
from services.data_fetcher.vendor_registry import BudgetOf, VendorPlace
from shared.runtime.bus.redis_connection import Address, RedisConnection
from shared.runtime.clock import Clock
from shared.runtime.config.settings import Settings
from shared.schemas.values import Mode


def redis_budget(address: Address) -> BudgetOf:
    """Budgets in Redis, one for all processes with the same key.

    Each has a connection of its own.
    """

    def budget(vendor: str, key: str, per_minute: int) -> RequestBudget:
        if not per_minute:
            return Unlimited()
        return RedisBudget(Rate(per_minute), RedisConnection(address), vendor, key)

    return budget


def vendor_place(
    settings: Settings, *, clock: Clock, budget: BudgetOf | None = None
) -> VendorPlace:
    """Without a budget this process counts its requests alone."""
    environment, config = settings.environment, settings.config
    simulated = settings.mode is Mode.SIM
    return VendorPlace(
        folder=Path(config.bars.folder) if config.bars.folder else None,
        splits=Path(config.bars.splits) if config.bars.splits else None,
        accept_flawed=config.bars.accept_flawed,
        data_url=environment.broker_data_url,
        trading_url=environment.broker_url,
        key_id=environment.broker_key_id,
        secret_key=environment.broker_secret_key,
        massive_key=environment.massive_api_key or environment.polygon_api_key,
        urls={
            "massive": environment.massive_url,
            "yahoo": environment.yahoo_url,
            "stooq": environment.stooq_url,
        },
        quotes_feed=config.quotes.feed,
        order=config.vendors.order,
        # The simulated broker's quotes are of this machine: nobody counts them.
        requests_per_minute={} if simulated else config.vendors.requests_per_minute,
        clock=clock,
        budget=budget,
    )
