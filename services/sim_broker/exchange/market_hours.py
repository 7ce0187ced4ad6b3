"""The clock times of a simulated session: New York wall times as UTC instants.

Called by the exchange and by the clock and calendar replies. The broker's clock moves only with the
stages.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from shared.schemas.values import Stage

EASTERN = ZoneInfo("America/New_York")
OPENS = dt.time(9, 30)
CLOSES = dt.time(16, 0)
STAGES = tuple(Stage)
"""In the order of the day."""
OPEN_STAGES = frozenset({Stage.OPEN, Stage.BAR, Stage.CLOSE})
"""The stages during which the market is open."""
_STAGE_TIMES = {
    Stage.START: dt.time(9, 0),
    Stage.OPEN: dt.time(9, 35),
    Stage.BAR: dt.time(15, 54),
    Stage.CLOSE: dt.time(15, 55),
    Stage.MARK: CLOSES,
}


def stage_at(session: dt.date, stage: Stage) -> dt.datetime:
    return instant(session, _STAGE_TIMES[stage])


def instant(session: dt.date, time: dt.time) -> dt.datetime:
    """A New York wall time as an aware UTC instant."""
    return dt.datetime.combine(session, time, EASTERN).astimezone(dt.UTC)


def next_weekday(day: dt.date) -> dt.date:
    """The likely session after the last one known."""
    return day + dt.timedelta(days={4: 3, 5: 2}.get(day.weekday(), 1))
