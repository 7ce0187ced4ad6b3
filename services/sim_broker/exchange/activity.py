"""What happened to cash or shares besides the fills of orders.

As the account's activities list it.
"""

import datetime as dt
from decimal import Decimal
from enum import StrEnum

from shared.schemas.values import Value


class ActivityType(StrEnum):
    """Alpaca's names of the activities that are simulated."""

    FILL = "FILL"
    DEPOSIT = "CSD"
    WITHDRAWAL = "CSW"
    DIVIDEND = "DIV"
    SPLIT = "SPLIT"
    SPIN_OFF = "SPIN"
    NAME_CHANGE = "NC"
    REMOVAL = "REORG"


class Activity(Value, frozen=True, kw_only=True):
    """`qty` is the signed change of shares, `net_amount` that of cash; a fill names its order."""

    id: str
    type: ActivityType
    at: dt.datetime
    net_amount: Decimal
    symbol: str = ""
    qty: Decimal = Decimal(0)
    price: Decimal | None = None
    order_id: str = ""
