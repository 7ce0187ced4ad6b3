"""Refuses entries while reducing or blocked, and in a symbol on which the broker disagrees."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason, TradingState, Value

REASON = Reason.REDUCING
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if book.trading_state is not TradingState.ACTIVE:
        return Denial(reason=REASON, detail=book.why)
    if book.blocked:
        return Denial(reason=REASON, detail="the broker has blocked the account")
    if intent.symbol in book.drifted:
        sentence = "our books and the broker's disagree on this symbol; acknowledge it first"
        return Denial(reason=REASON, detail=sentence)
    return None
