"""Which session's bars must be complete by now. Called by commands.

The service hears it from the scheduler.
"""

import datetime as dt

from services.data_fetcher.bar_columns import NEW_YORK
from shared.domain.market.sessions import sessions_between

COMPLETE = dt.time(16, 30)
"""New York: half an hour after the regular close even delayed plans have the day's bar."""
LONGEST_REST = dt.timedelta(days=10)
"""Longer than the exchange was ever shut."""
YEAR_DAYS = 365.25


def last_complete_session(now: dt.datetime) -> dt.date:
    """The last session whose bar every vendor has."""
    wall = now.astimezone(NEW_YORK)
    last = wall.date() if wall.time() >= COMPLETE else wall.date() - dt.timedelta(days=1)
    session: dt.date = sessions_between(last - LONGEST_REST, last)[-1].item()
    return session


def years_before(day: dt.date, years: int) -> dt.date:
    return day - dt.timedelta(days=round(YEAR_DAYS * years))
