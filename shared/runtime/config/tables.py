"""The tables of kobe.toml as types; every key has a line there, and every number a range here.

The ranges are wide: they refuse what can only be a slip of the pen (a negative time, a fraction
above one, NaN), not what is merely unwise.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

MOST_DOLLARS = Decimal(10**12)

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
# Up to an hour: every wait of the order path must end within a session.
Seconds = Annotated[int, Meta(ge=1, le=3_600)]
Minutes = Annotated[int, Meta(ge=1, le=720)]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of kobe.toml."""


def require_between(name: str, value: Decimal, low: Decimal | int, high: Decimal | int) -> None:
    """Raises ValueError unless low < value <= high; NaN and infinity never are."""
    if not value.is_finite() or not low < value <= high:
        raise ValueError(f"{name} is {value}; it must be above {low} and at most {high}")


class UniverseConfig(Table, frozen=True, kw_only=True):
    """`list` names a file of symbols, or `starter`; it is read into `symbols` with the settings."""

    list: str
    symbols: tuple[str, ...]
    maximum: Annotated[int, Meta(ge=1, le=100_000)]


class StrategiesConfig(Table, frozen=True, kw_only=True):
    """`parameters` are a strategy's own; shared/strategies/registry.py checks them."""

    enabled: tuple[str, ...]
    folder: str
    parameters: dict[str, dict[str, Any]]


class SizingConfig(Table, frozen=True, kw_only=True):
    method: Literal["budget", "cash_fraction", "risk_fraction"]
    per_order: Decimal
    fraction: Decimal

    def __post_init__(self) -> None:
        require_between("per_order", self.per_order, 0, MOST_DOLLARS)
        require_between("fraction", self.fraction, 0, 1)


class OrdersConfig(Table, frozen=True, kw_only=True):
    entry_ttl_seconds: Annotated[int, Meta(ge=1, le=300)]
    exit_ttl_seconds: Seconds


class TimetableConfig(Table, frozen=True, kw_only=True):
    open_slot: str
    retry_slots: tuple[str, ...]
    # The shortest session, a half day, has 210 minutes.
    close_slot_minutes_before_close: Annotated[int, Meta(ge=1, le=180)]
    bars_delay_minutes: Annotated[int, Meta(ge=0, le=720)]
    bars_minutes_before_open: Minutes
    reconcile_seconds: Annotated[int, Meta(ge=10, le=3_600)]
    grace_seconds: Annotated[int, Meta(ge=0, le=3_600)]
    clock: Literal["system", "replay"]
    sessions: Annotated[int, Meta(ge=0, le=100_000)]
    start: str
    pace_seconds: Annotated[float, Meta(ge=0.0, le=3_600.0)]
    loop: bool


class BarsConfig(Table, frozen=True, kw_only=True):
    vendor: str
    folder: str
    splits: str
    accept_flawed: bool
    minimum_coverage: Decimal
    history_years: Annotated[int, Meta(ge=1, le=100)]

    def __post_init__(self) -> None:
        require_between("minimum_coverage", self.minimum_coverage, 0, 1)


class QuotesConfig(Table, frozen=True, kw_only=True):
    vendor: str
    feed: Literal["", "iex", "sip", "delayed_sip"]


class VendorsConfig(Table, frozen=True, kw_only=True):
    """Whom `multi` asks, first to last, and requests a minute each plan allows (0: any)."""

    order: tuple[str, ...]
    requests_per_minute: dict[str, Annotated[int, Meta(ge=0, le=1_000_000)]]


class BrokerConfig(Table, frozen=True, kw_only=True):
    name: str
    requests_per_minute: Count
    reserved_requests: Annotated[int, Meta(ge=0, le=1_000_000)]
    # Below the lease's margin of 7 s: a POST must have ended before the lease can be another's.
    post_deadline_seconds: Annotated[float, Meta(ge=0.1, le=6.0)]
    starting_cash: Decimal

    def __post_init__(self) -> None:
        require_between("starting_cash", self.starting_cash, 0, MOST_DOLLARS)
        if self.reserved_requests >= self.requests_per_minute:
            raise ValueError("reserved_requests must be smaller than requests_per_minute")


class ExecutorConfig(Table, frozen=True, kw_only=True):
    ambiguous_in_a_row: Count
    unknown_seconds: Seconds
    flatten_on_kill: bool


class AuditConfig(Table, frozen=True, kw_only=True):
    """At least 2: the record after a checkpoint names it and must itself come under the next."""

    checkpoint_records: Annotated[int, Meta(ge=2, le=65_536)]
    checkpoint_seconds: Seconds


class LoggingConfig(Table, frozen=True, kw_only=True):
    level: Literal["debug", "info", "warning", "error"]
    terminal: Literal["debug", "info", "warning", "error"]
    rotate_megabytes: Annotated[int, Meta(ge=1, le=1_024)]
    keep_files: Annotated[int, Meta(ge=1, le=1_000)]


class ResearchConfig(Table, frozen=True, kw_only=True):
    """Walk-forward windows in sessions, and per strategy the values to try of each parameter."""

    train: Annotated[int, Meta(ge=1, le=100_000)]
    test: Annotated[int, Meta(ge=1, le=100_000)]
    objective: Literal["sharpe", "profit_factor", "return_over_drawdown"]
    grids: dict[str, dict[str, tuple[bool | int | float, ...]]]


class Config(Table, frozen=True, kw_only=True):
    """kobe.toml as one mode sees it. `rules` are checked by shared/rules/registry.py."""

    universe: UniverseConfig
    strategies: StrategiesConfig
    sizing: SizingConfig
    orders: OrdersConfig
    rules: dict[str, dict[str, Any]]
    timetable: TimetableConfig
    bars: BarsConfig
    quotes: QuotesConfig
    vendors: VendorsConfig
    broker: BrokerConfig
    executor: ExecutorConfig
    audit: AuditConfig
    logging: LoggingConfig
    research: ResearchConfig
