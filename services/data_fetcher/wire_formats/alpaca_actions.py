"""Alpaca's corporate actions as ours: each of its fourteen kinds is a split, a dividend, a rename, a removal, or none.

Called by vendors/alpaca.py with one page at a time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

from services.data_fetcher.wire_formats.alpaca import Actions
from shared.schemas import corporate_actions as ca

SPLIT_KINDS = "forward_split,reverse_split,unit_split,stock_dividend"
CASH_KINDS = "cash_dividend"
NAME_KINDS = (
    "name_change,reverse_split,unit_split,cash_merger,stock_merger,stock_and_cash_merger,redemption,"
    "worthless_removal"
)


def splits_of(page: Actions) -> Iterator[ca.Split]:
    for row in (*page.forward_splits, *page.reverse_splits):
        yield _split(row.symbol, row.ex_date, row.new_rate, row.old_rate)
    for unit in page.unit_splits:
        yield _split(unit.old_symbol, unit.effective_date, unit.new_rate, unit.old_rate)
    for dividend in page.stock_dividends:
        yield _split(dividend.symbol, dividend.ex_date, 1 + _decimal(dividend.rate), 1)


def dividends_of(page: Actions) -> Iterator[ca.CashDividend]:
    for row in page.cash_dividends:
        yield ca.CashDividend(
            symbol=row.symbol, ex_date=dt.date.fromisoformat(row.ex_date), amount=_decimal(row.rate)
        )


def _split(symbol: str, date: str, new: float | Decimal, old: float) -> ca.Split:
    return ca.Split(
        symbol=symbol, ex_date=dt.date.fromisoformat(date), new=_decimal(new), old=_decimal(old)
    )


def renames_of(page: Actions) -> Iterator[ca.Rename]:
    for row in page.name_changes:
        if row.old_symbol != row.new_symbol:
            yield _rename(row.old_symbol, row.new_symbol, row.process_date)
    for split in page.reverse_splits:
        if split.new_symbol not in ("", split.symbol):
            yield _rename(split.symbol, split.new_symbol, split.ex_date)
    for unit in page.unit_splits:
        if unit.new_symbol != unit.old_symbol:
            yield _rename(unit.old_symbol, unit.new_symbol, unit.effective_date)


def _rename(old: str, new: str, date: str) -> ca.Rename:
    return ca.Rename(old=old, new=new, date=dt.date.fromisoformat(date))


def removals_of(page: Actions) -> Iterator[ca.Removal]:
    mergers = (*page.cash_mergers, *page.stock_mergers, *page.stock_and_cash_mergers)
    ended = [(row.acquiree_symbol, row.effective_date, ca.Ended.MERGED) for row in mergers]
    ended += [(row.symbol, row.process_date, ca.Ended.REDEEMED) for row in page.redemptions]
    ended += [(row.symbol, row.process_date, ca.Ended.WORTHLESS) for row in page.worthless_removals]
    for symbol, date, why in ended:
        yield ca.Removal(symbol=symbol, date=dt.date.fromisoformat(date), why=why)


def _decimal(value: float | Decimal) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(repr(value))
