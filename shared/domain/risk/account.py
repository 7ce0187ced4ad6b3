"""What the broker reports of the account, taken into the gate's book. Frozen in, frozen out; pure.

Money as it stands, shares that are not ours, a blocked account; deposits and withdrawals, which
move what drawdowns are measured against; and reservations that nobody will ever end.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec.structs import replace

from shared.domain.risk.book import Book, settle
from shared.schemas.messages import AccountSeen
from shared.schemas.values import Holding

FLOW_FRACTION = Decimal("0.001")
"""Of equity: less unexplained cash than this is fees, interest or dividends, so profit or loss."""
OVERDUE_AFTER = dt.timedelta(minutes=1)
"""Past its expiry no order can be sent any more; a minute more than any clocks may differ."""
CENT = Decimal("0.01")


def take_account(book: Book, seen: AccountSeen, *, at: dt.datetime) -> Book:
    """The book after one look at the account; `at` is when it was reported."""
    external = _external(book, seen.holdings)
    flow = cash_flow(book, seen, external)
    live = None if seen.live_orders is None else frozenset(seen.live_orders)
    book = see_account(
        move_base(end_overdue(book, live, at=at), flow, equity=seen.equity),
        cash=seen.cash,
        equity=seen.equity,
        buying_power=seen.buying_power,
    )
    return replace(
        book,
        last_cash=seen.cash,
        last_equity=seen.equity,
        traded_cash=Decimal(0),
        blocked=seen.blocked,
        external=external,
        unreadable=seen.unreadable,
    )


def see_account(book: Book, *, cash: Decimal, equity: Decimal, buying_power: Decimal) -> Book:
    """Take the broker's money; what open reservations will still move is held apart."""
    held = book.reservations.values()
    return replace(
        book,
        cash=cash - sum((each.cash_to_come for each in held), Decimal(0)),
        buying_power=buying_power - sum((each.power_to_come for each in held), Decimal(0)),
        equity=equity,
        peak_equity=max(book.peak_equity, equity),
        session_equity=book.session_equity or equity,
    )


def count_trade(book: Book, *, change: int, price: Decimal) -> Book:
    """Remember how much cash a fill of ours has moved, so that it is no deposit or withdrawal."""
    return replace(book, traded_cash=book.traded_cash - change * price)


def cash_flow(book: Book, seen: AccountSeen, external: Mapping[str, Decimal]) -> Decimal:
    """The deposit (or, negative, withdrawal) since the account was last seen; 0: there was none.

    It is a change of cash that our fills do not explain. If shares that are not ours came or went
    meanwhile, cash may have been traded for them, by hand or in a merger; then it is a flow only as
    far as equity has followed it. An account without equity is a loss or an error, never a flow.
    """
    if book.last_cash is None or min(seen.equity, book.last_equity) <= 0:
        return Decimal(0)
    unexplained = seen.cash - book.last_cash - book.traded_cash
    if abs(unexplained) < FLOW_FRACTION * max(seen.equity, book.last_equity):
        return Decimal(0)
    if external == book.external:
        return unexplained
    gain = seen.equity - book.last_equity
    if abs(gain - unexplained) >= abs(gain):
        return Decimal(0)
    return min(gain, unexplained, key=abs)


def move_base(book: Book, flow: Decimal, *, equity: Decimal) -> Book:
    """Scale what drawdown and daily loss are measured against, so that a flow changes neither."""
    before = equity - flow
    if not flow or before <= 0:
        return book
    return replace(
        book,
        peak_equity=(book.peak_equity * equity / before).quantize(CENT),
        session_equity=(book.session_equity * equity / before).quantize(CENT),
    )


def end_overdue(book: Book, live: frozenset[str] | None, *, at: dt.datetime) -> Book:
    """Close the reservations that nobody will end, long after their order could be sent.

    One whose order has ended is settled although its scan is not. One whose order the executor does
    not have is dropped (its approval was never read, or its end was lost); its budget stays spent,
    for the order may have been filled all the same.
    """
    overdue = {
        name: held
        for name, held in book.reservations.items()
        if held.expires_at is not None and at >= held.expires_at + OVERDUE_AFTER
    }
    lost = {
        name
        for name, held in overdue.items()
        if live is not None and name not in live and not held.ended
    }
    kept = {name: held for name, held in book.reservations.items() if name not in lost}
    return settle(
        replace(book, reservations=kept), (name for name, held in overdue.items() if held.ended)
    )


def _external(book: Book, holdings: Iterable[Holding]) -> dict[str, Decimal]:
    """What the account holds besides our positions, by symbol; negative: less than ours."""
    found = {symbol: Decimal(-position.signed_qty) for symbol, position in book.positions.items()}
    for holding in holdings:
        found[holding.symbol] = found.get(holding.symbol, Decimal(0)) + holding.qty
    return {symbol: qty for symbol, qty in sorted(found.items()) if qty}
