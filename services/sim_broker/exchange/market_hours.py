"""The clock times of a simulated session: New York wall times as UTC instants.

Called by the exchange and by the clock and calendar replies. The broker's clock moves only with the
stages.
"""

import datetime as dt
from zoneinfo import ZoneInfo

from shared.schemas.values import Stage

EASTERN = ZoneInfo("America/New_York")
OPENS = dt.time(9, 30)
CLOSES = dt.time(16, 0)
EARLY_CLOSE = dt.time(13, 0)
EARLY_CLOSES_SINCE = 2013
"""The years for which `closes_early` is the exchange's rule; earlier ones had others."""
STAGES = tuple(Stage)
"""In the order of the day."""
OPEN_STAGES = frozenset({Stage.OPEN, Stage.BAR, Stage.CLOSE})
"""The stages during which the market is open."""
_AFTER_OPEN = (Stage.BAR, Stage.CLOSE, Stage.MARK)
_STAGE_TIMES = {
    Stage.START: dt.time(9, 0),
    Stage.OPEN: dt.time(9, 35),
    Stage.BAR: dt.time(15, 54),
    Stage.CLOSE: dt.time(15, 55),
    Stage.MARK: CLOSES,
}
_EARLY_BY = dt.timedelta(hours=3)


def stage_at(session: dt.date, stage: Stage) -> dt.datetime:
    """The stages after the open come three hours earlier on a half day."""
    at = instant(session, _STAGE_TIMES[stage])
    return at - _EARLY_BY if stage in _AFTER_OPEN and closes_early(session) else at


def opening_time(session: dt.date) -> dt.datetime:
    return instant(session, OPENS)


def closing_time(session: dt.date) -> dt.datetime:
    return instant(session, EARLY_CLOSE if closes_early(session) else CLOSES)


def closes_early(session: dt.date) -> bool:
    """Whether a session ends at 13:00 by the exchange's rule.

    The day after Thanksgiving, 24 December, and 3 July before a holiday on a weekday.
    """
    month_day = (session.month, session.day)
    thanksgiving = dt.date(session.year, 11, 22)
    thanksgiving += dt.timedelta(days=(3 - thanksgiving.weekday()) % 7)
    return session.year >= EARLY_CLOSES_SINCE and (
        month_day == (12, 24)
        or (month_day == (7, 3) and session.weekday() < 4)
        or session == thanksgiving + dt.timedelta(days=1)
    )


def instant(session: dt.date, time: dt.time) -> dt.datetime:
    """A New York wall time as an aware UTC instant."""
    return dt.datetime.combine(session, time, EASTERN).astimezone(dt.UTC)


def next_weekday(day: dt.date) -> dt.date:
    """The likely session after the last one known."""
    return day + dt.timedelta(days={4: 3, 5: 2}.get(day.weekday(), 1))
