"""What the broker says of the market: its clock and its sessions of the coming days.

Asked with every reconcile; the scheduler opens nothing that the broker does not confirm.
"""

import datetime as dt
from zoneinfo import ZoneInfo

from services.executor.brokers.protocol import Broker
from shared.domain.errors import TransientError
from shared.schemas.values import MarketView

NEW_YORK = ZoneInfo("America/New_York")
AHEAD = dt.timedelta(days=7)
"""A closure is seen a week before it comes, over any long weekend."""


def observe_market(broker: Broker) -> MarketView | None:
    """None if the broker does not answer: the reconcile it comes with is worth more."""
    try:
        clock = broker.clock()
        first = clock.at.astimezone(NEW_YORK).date()
        sessions = broker.sessions(first, first + AHEAD)
    except TransientError:
        return None
    return MarketView(
        at=clock.at, is_open=clock.is_open, first=first, last=first + AHEAD, sessions=sessions
    )
