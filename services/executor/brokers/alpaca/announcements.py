"""Alpaca's announced corporate actions (GET /v1/corporate-actions), read row by row.

Used by the Alpaca adapter. A row that makes no sense is left out: the position itself is judged
without it, and what is not explained halts.
"""

import datetime as dt
from collections.abc import Collection, Iterator
from decimal import Decimal
from urllib.parse import urlencode

import msgspec

from services.executor.brokers.alpaca.http import DeadlineHttp, NoAnswer, NotSent
from shared.domain.errors import TransientError
from shared.schemas.corporate_actions import (
    CorporateActions,
    Ended,
    Removal,
    Rename,
    SpinOff,
    Split,
)

GET_SECONDS = 3.0  # asked once a session, before the open
LIMIT = 1000  # Alpaca's longest page; held symbols have a handful
KINDS = (
    "forward_split,reverse_split,unit_split,stock_dividend,spin_off,name_change,cash_merger,"
    "stock_merger,stock_and_cash_merger,redemption,worthless_removal"
)


class _Row(msgspec.Struct, frozen=True):
    """The union of what Alpaca's kinds have; each has some of it."""

    symbol: str = ""
    old_symbol: str = ""
    new_symbol: str = ""
    source_symbol: str = ""
    acquiree_symbol: str = ""
    ex_date: dt.date | None = None
    effective_date: dt.date | None = None
    process_date: dt.date | None = None
    new_rate: Decimal = Decimal(0)
    old_rate: Decimal = Decimal(0)
    source_rate: Decimal = Decimal(0)
    rate: Decimal = Decimal(0)


class _Reply(msgspec.Struct, frozen=True):
    corporate_actions: dict[str, list[msgspec.Raw]]


class Announcements:
    def __init__(self, http: DeadlineHttp) -> None:
        self._http = http

    def read(self, symbols: Collection[str], since: dt.date, through: dt.date) -> CorporateActions:
        """Raises TransientError if there is no answer, or one that makes no sense."""
        query = {
            "symbols": ",".join(sorted(symbols)),
            "types": KINDS,
            "start": since.isoformat(),
            "end": through.isoformat(),
            "limit": str(LIMIT),
        }
        try:
            reply = self._http.request(
                "GET", f"/v1/corporate-actions?{urlencode(query)}", seconds=GET_SECONDS
            )
        except (NotSent, NoAnswer) as error:
            raise TransientError(f"no corporate actions: {error}") from error
        if reply.status != 200:
            raise TransientError(f"the corporate actions are answered with {reply.status}")
        return read_actions(reply.body)


def read_actions(body: bytes) -> CorporateActions:
    """Raises TransientError if the reply is not one about corporate actions."""
    try:
        reply = msgspec.json.decode(body, type=_Reply)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise TransientError(f"the corporate actions make no sense: {error}") from error
    rows = [(kind, row) for kind, raw in reply.corporate_actions.items() for row in _rows_of(raw)]
    return CorporateActions(
        splits=tuple(split for kind, row in rows for split in _splits(kind, row)),
        renames=tuple(rename for kind, row in rows for rename in _renames(kind, row)),
        removals=tuple(removal for kind, row in rows for removal in _removals(kind, row)),
        spin_offs=tuple(spin for kind, row in rows for spin in _spin_offs(kind, row)),
    )


def _rows_of(raws: list[msgspec.Raw]) -> Iterator[_Row]:
    for raw in raws:
        try:
            yield msgspec.json.decode(raw, type=_Row, strict=False)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue


def _splits(kind: str, row: _Row) -> Iterator[Split]:
    day = row.ex_date or row.effective_date
    symbol = row.symbol or row.old_symbol
    new, old = row.new_rate, row.old_rate
    if kind == "stock_dividends":
        new, old = 1 + row.rate, Decimal(1)
    is_split = kind in ("forward_splits", "reverse_splits", "unit_splits", "stock_dividends")
    if is_split and day and symbol and _counts(new) and _counts(old):
        yield Split(symbol=symbol, ex_date=day, new=new, old=old)


def _renames(kind: str, row: _Row) -> Iterator[Rename]:
    day = row.ex_date or row.effective_date or row.process_date
    old = row.old_symbol or row.symbol
    is_rename = kind in ("name_changes", "reverse_splits", "unit_splits")
    if is_rename and day and old and row.new_symbol not in ("", old):
        yield Rename(old=old, new=row.new_symbol, date=day)


def _removals(kind: str, row: _Row) -> Iterator[Removal]:
    ends = {
        "cash_mergers": Ended.MERGED,
        "stock_mergers": Ended.MERGED,
        "stock_and_cash_mergers": Ended.MERGED,
        "redemptions": Ended.REDEEMED,
        "worthless_removals": Ended.WORTHLESS,
    }
    day, symbol = row.effective_date or row.process_date, row.acquiree_symbol or row.symbol
    if kind in ends and day and symbol:
        yield Removal(symbol=symbol, date=day, why=ends[kind])


def _spin_offs(kind: str, row: _Row) -> Iterator[SpinOff]:
    day = row.ex_date or row.process_date
    if kind == "spin_offs" and day and row.source_symbol and row.new_symbol:
        yield SpinOff(symbol=row.source_symbol, new=row.new_symbol, ex_date=day)


def _counts(rate: Decimal) -> bool:
    return rate.is_finite() and rate > 0
