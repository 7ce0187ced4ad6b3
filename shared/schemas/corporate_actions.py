"""What happens to a share besides trading: splits, cash dividends, renames, its end.

Said by the data-fetcher before each open, kept as factors by the bar archive, followed by the
executor for what is held. Imports only values.
"""

import datetime as dt
from decimal import Decimal
from enum import StrEnum

from shared.schemas import fields as f
from shared.schemas.values import Value


class Split(Value, frozen=True, kw_only=True):
    """`new` shares replace `old` ones from the open of `ex_date` on; so does a stock dividend."""

    symbol: f.Symbol
    ex_date: dt.date
    new: f.Ratio
    old: f.Ratio

    @property
    def ratio(self) -> Decimal:
        """Shares after the split for one before: 4 for a 4:1 split, 0.125 for a 1:8 reverse one."""
        return self.new / self.old


class CashDividend(Value, frozen=True, kw_only=True):
    """Dollars a share as paid, on the share count of `ex_date` (not adjusted for later splits)."""

    symbol: f.Symbol
    ex_date: dt.date
    amount: f.PriceOrZero


class Rename(Value, frozen=True, kw_only=True):
    """From the open of `date` on the share trades under `new`."""

    old: f.Symbol
    new: f.ForeignName
    date: dt.date


class Ended(StrEnum):
    """Why a share stops trading."""

    MERGED = "merged"
    REDEEMED = "redeemed"
    WORTHLESS = "worthless"
    DELISTED = "delisted"


class Removal(Value, frozen=True, kw_only=True):
    """The share does not trade any more from `date` on."""

    symbol: f.Symbol
    date: dt.date
    why: Ended


class SpinOff(Value, frozen=True, kw_only=True):
    """Holders of `symbol` get shares of `new` at the open of `ex_date`; their own shares stay."""

    symbol: str
    new: str
    ex_date: dt.date


class CorporateActions(Value, frozen=True, kw_only=True):
    """Everything announced for some symbols and dates, each kind by date, then symbol."""

    splits: tuple[Split, ...] = ()
    dividends: tuple[CashDividend, ...] = ()
    renames: tuple[Rename, ...] = ()
    removals: tuple[Removal, ...] = ()
    spin_offs: tuple[SpinOff, ...] = ()
