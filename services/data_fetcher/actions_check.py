"""Splits, renames and removals of what is held and traded, asked for before each open.

Called by work.py; the executor follows what it finds.
"""

import datetime as dt
from dataclasses import dataclass

from services.data_fetcher.vendor_registry import ActionsVendor
from shared.domain.market.sessions import next_session
from shared.schemas.messages import CorporateActionsSeen

LOOK_BACK = dt.timedelta(days=7)
"""A system that was down for a week still hears of the splits it slept through."""


@dataclass(frozen=True, slots=True)
class ActionsCheck:
    """`name` is the vendor's, for the record."""

    name: str
    vendor: ActionsVendor

    def look(
        self, through: dt.date, universe: tuple[str, ...], holdings: tuple[str, ...]
    ) -> CorporateActionsSeen:
        """What takes effect after a week before `through` and up to the next session's open.

        Names are asked about held symbols alone: it costs some vendors a call a symbol.
        """
        session = dt.date.fromisoformat(str(next_session(through)))
        since = through - LOOK_BACK
        first = since + dt.timedelta(days=1)
        symbols = tuple(sorted({*universe, *holdings}))
        splits = self.vendor.corporate_actions(symbols, first, session).splits
        names = self.vendor.name_changes(holdings, first, session) if holdings else None
        return CorporateActionsSeen(
            session=session,
            since=since,
            vendor=self.name,
            symbols=len(symbols),
            splits=splits,
            renames=names.renames if names else (),
            removals=names.removals if names else (),
        )
