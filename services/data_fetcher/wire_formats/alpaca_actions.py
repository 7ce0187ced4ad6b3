"""Alpaca's corporate actions as ours.

Each of its fourteen kinds is a split, a dividend, a rename, a removal, or none.

Called by vendors/alpaca.py with one page at a time.
"""

from collections.abc import Iterator

from services.data_fetcher.wire_formats import alpaca as wire
from services.data_fetcher.wire_formats.actions import action, actions_of
from shared.schemas import corporate_actions as ca

SPLIT_KINDS = "forward_split,reverse_split,unit_split,stock_dividend"
CASH_KINDS = "cash_dividend"
NAME_KINDS = (
    "name_change,reverse_split,unit_split,cash_merger,stock_merger,stock_and_cash_merger,redemption,"
    "worthless_removal"
)


def splits_of(page: wire.Actions) -> Iterator[ca.Split]:
    yield from actions_of((*page.forward_splits, *page.reverse_splits), _split)
    yield from actions_of(page.unit_splits, _unit_split)
    yield from actions_of(page.stock_dividends, _stock_dividend)


def dividends_of(page: wire.Actions) -> Iterator[ca.CashDividend]:
    return actions_of(page.cash_dividends, _dividend)


def renames_of(page: wire.Actions) -> Iterator[ca.Rename]:
    names = [(row.old_symbol, row.new_symbol, row.process_date) for row in page.name_changes]
    names += [(row.symbol, row.new_symbol, row.ex_date) for row in page.reverse_splits]
    names += [(row.old_symbol, row.new_symbol, row.effective_date) for row in page.unit_splits]
    changed = (name for name in names if name[1] not in ("", name[0]))
    return actions_of(
        changed, lambda name: action(ca.Rename, old=name[0], new=name[1], date=name[2])
    )


def removals_of(page: wire.Actions) -> Iterator[ca.Removal]:
    mergers = (*page.cash_mergers, *page.stock_mergers, *page.stock_and_cash_mergers)
    ended = [(row.acquiree_symbol, row.effective_date, ca.Ended.MERGED) for row in mergers]
    ended += [(row.symbol, row.process_date, ca.Ended.REDEEMED) for row in page.redemptions]
    ended += [(row.symbol, row.process_date, ca.Ended.WORTHLESS) for row in page.worthless_removals]
    return actions_of(ended, lambda end: action(ca.Removal, symbol=end[0], date=end[1], why=end[2]))


def _split(row: wire.SplitRow) -> ca.Split | None:
    return action(
        ca.Split, symbol=row.symbol, ex_date=row.ex_date, new=row.new_rate, old=row.old_rate
    )


def _unit_split(row: wire.UnitSplitRow) -> ca.Split | None:
    return action(
        ca.Split,
        symbol=row.old_symbol,
        ex_date=row.effective_date,
        new=row.new_rate,
        old=row.old_rate,
    )


def _stock_dividend(row: wire.RateRow) -> ca.Split | None:
    """`rate` new shares come to each old one."""
    return action(ca.Split, symbol=row.symbol, ex_date=row.ex_date, new=1 + row.rate, old=1)


def _dividend(row: wire.RateRow) -> ca.CashDividend | None:
    return action(ca.CashDividend, symbol=row.symbol, ex_date=row.ex_date, amount=row.rate)
