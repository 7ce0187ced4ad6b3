"""Alpaca's market data and assets as typed values.

What must be in each answer, and what makes one incomplete.

Read by vendors/alpaca.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from services.data_fetcher.bar_columns import lose, number, read_rows
from services.data_fetcher.vendor_http.client import Unreadable

KindT = TypeVar("KindT")


class Row(msgspec.Struct):
    """One bar; `t` is midnight in New York as RFC 3339."""

    t: str
    o: float = math.nan
    h: float = math.nan
    l: float = math.nan  # noqa: E741 (the wire's name)
    c: float = math.nan
    v: float = math.nan


class BarsPage(msgspec.Struct):
    """Both keys must be there: an answer without them is cut, not empty."""

    bars: dict[str, list[msgspec.Raw]] | None
    next_page_token: str | None


class SplitRow(msgspec.Struct):
    symbol: str
    ex_date: str
    new_rate: float
    old_rate: float
    new_symbol: str = ""


class UnitSplitRow(msgspec.Struct):
    old_symbol: str
    new_symbol: str
    effective_date: str
    old_rate: float
    new_rate: float


class RateRow(msgspec.Struct):
    """A cash dividend (dollars a share) or a stock dividend (new shares for one)."""

    symbol: str
    ex_date: str
    rate: float


class RenameRow(msgspec.Struct):
    old_symbol: str
    new_symbol: str
    process_date: str


class MergerRow(msgspec.Struct):
    acquiree_symbol: str
    effective_date: str


class RemovalRow(msgspec.Struct):
    symbol: str
    process_date: str


@dataclass(frozen=True, slots=True)
class Actions:
    """One page, by kind."""

    forward_splits: list[SplitRow]
    reverse_splits: list[SplitRow]
    unit_splits: list[UnitSplitRow]
    stock_dividends: list[RateRow]
    cash_dividends: list[RateRow]
    name_changes: list[RenameRow]
    cash_mergers: list[MergerRow]
    stock_mergers: list[MergerRow]
    stock_and_cash_mergers: list[MergerRow]
    redemptions: list[RemovalRow]
    worthless_removals: list[RemovalRow]

    @classmethod
    def of(cls, kinds: Mapping[str, list[msgspec.Raw]]) -> Actions:
        """Every kind is left out where there is none of it; a bad row costs only itself."""

        def rows(name: str, kind: type[KindT]) -> list[KindT]:
            return read_rows(kinds.get(name, []), kind, lose)

        return cls(
            forward_splits=rows("forward_splits", SplitRow),
            reverse_splits=rows("reverse_splits", SplitRow),
            unit_splits=rows("unit_splits", UnitSplitRow),
            stock_dividends=rows("stock_dividends", RateRow),
            cash_dividends=rows("cash_dividends", RateRow),
            name_changes=rows("name_changes", RenameRow),
            cash_mergers=rows("cash_mergers", MergerRow),
            stock_mergers=rows("stock_mergers", MergerRow),
            stock_and_cash_mergers=rows("stock_and_cash_mergers", MergerRow),
            redemptions=rows("redemptions", RemovalRow),
            worthless_removals=rows("worthless_removals", RemovalRow),
        )


class ActionsPage(msgspec.Struct):
    corporate_actions: dict[str, list[msgspec.Raw]]
    next_page_token: str | None


class QuoteRow(msgspec.Struct, frozen=True):
    ap: Decimal
    bp: Decimal
    t: str


class QuotesReply(msgspec.Struct, frozen=True):
    quotes: dict[str, msgspec.Raw]


class AssetRow(msgspec.Struct):
    id: str
    symbol: str
    exchange: str = ""
    name: str = ""
    status: str = ""
    tradable: bool = False
    attributes: list[str] = []


def read_reply(body: bytes, kind: type[KindT]) -> KindT:
    """Raises Unreadable if the answer is cut, or lacks what must be in it."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"it is unreadable, {error}") from error


def read_assets(body: bytes) -> list[AssetRow]:
    return read_rows(read_reply(body, list[msgspec.Raw]), AssetRow, lose)


def quotes_of(reply: QuotesReply) -> dict[str, QuoteRow]:
    """The readable ones."""
    rows = {symbol: read_rows([raw], QuoteRow, lose) for symbol, raw in reply.quotes.items()}
    return {symbol: row[0] for symbol, row in rows.items() if row}


def rows_of(raw: list[msgspec.Raw]) -> list[Row]:
    return read_rows(raw, Row, _salvage)


def _salvage(row: Any) -> Row | None:
    """A bar with NaN for what is no number; None for what has no time."""
    if not isinstance(row, dict) or not isinstance(row.get("t"), str):
        return None
    return Row(t=row["t"], **{name: number(row.get(name)) for name in ("o", "h", "l", "c", "v")})
