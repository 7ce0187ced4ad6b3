"""The market in Alpaca's wire form: clock, calendar, assets, quotes, corporate actions.

Pure; called by the market routes.
"""

import datetime as dt
from collections.abc import Iterable, Sequence

from services.sim_broker.exchange import market_hours as hours, world_events as events
from services.sim_broker.exchange.account_book import AccountBook
from services.sim_broker.exchange.order import identity
from services.sim_broker.http.account_json import ASSET_CLASS, EXCHANGE, Json, asset_id
from shared.schemas.values import Quote, Stage


def asset(symbol: str, *, shorting: bool, active: bool = True) -> Json:
    return {
        "id": asset_id(symbol),
        "class": ASSET_CLASS,
        "exchange": EXCHANGE,
        "symbol": symbol,
        "name": symbol,
        "status": "active" if active else "inactive",
        "tradable": active,
        "marginable": False,
        "shortable": shorting and active,
        "easy_to_borrow": shorting and active,
        "borrow_status": "easy_to_borrow" if shorting and active else "hard_to_borrow",
        "fractionable": False,
        "attributes": [],
    }


def quote(one: Quote) -> Json:
    """A quote; encode it with `decimal_format="number"`, as the real data host does."""
    return {
        "t": one.at,
        "ax": "V",
        "ap": one.ask,
        "as": 100,
        "bx": "V",
        "bp": one.bid,
        "bs": 100,
        "c": ["R"],
        "z": "C",
    }


def clock(book: AccountBook, sessions: Sequence[dt.date], *, skew: dt.timedelta) -> Json:
    """The broker's clock in New York wall times with their offset."""
    account = book.account
    held = [each for each in sessions if each not in account.listings.closures]
    today = account.session or sessions[0]
    later = next((each for each in held if each > today), hours.next_weekday(today))
    is_session = today not in account.listings.closures
    opens_today = is_session and (account.session is None or account.stage is Stage.START)
    closes_today = is_session and account.stage is not Stage.MARK
    return {
        "timestamp": (book.now + skew).astimezone(hours.EASTERN),
        "is_open": account.is_open,
        "next_open": _eastern(hours.opening_time(today if opens_today else later)),
        "next_close": _eastern(hours.closing_time(today if closes_today else later)),
    }


def _eastern(at: dt.datetime) -> dt.datetime:
    return at.astimezone(hours.EASTERN)


def calendar(sessions: Iterable[dt.date], start: dt.date, end: dt.date) -> list[Json]:
    return [
        {
            "date": each,
            "open": f"{_eastern(hours.opening_time(each)):%H:%M}",
            "close": f"{_eastern(hours.closing_time(each)):%H:%M}",
            "session_open": "0400",
            "session_close": "2000",
            "settlement_date": hours.next_weekday(each),
        }
        for each in sessions
        if start <= each <= end
    ]


# --- corporate actions ----------------------------------------------------------------------------


def corporate_actions(announced: Iterable[events.CorporateEvent]) -> Json:
    """The events by Alpaca's kinds, each kind by date; kinds without one are left out."""
    groups: dict[str, list[Json]] = {}
    for event in sorted(announced, key=lambda each: (str(each.session), each.symbol)):
        kind, row = _corporate_action(event)
        common = {"id": identity("corporate action", event), "process_date": event.session}
        groups.setdefault(kind, []).append({**common, **row})
    return groups


def _corporate_action(event: events.CorporateEvent) -> tuple[str, Json]:
    ex_date, symbol = event.session, event.symbol
    match event:
        case events.SplitEvent() if event.new > event.old:
            rates = {"new_rate": event.new, "old_rate": event.old}
            return "forward_splits", {
                "symbol": symbol, "cusip": _cusip(symbol), "ex_date": ex_date, **rates,
            }  # fmt: skip
        case events.SplitEvent():
            return "reverse_splits", {
                "symbol": symbol, "old_cusip": _cusip(symbol), "new_cusip": _cusip(f"{symbol}/new"),
                "new_rate": event.new, "old_rate": event.old, "ex_date": ex_date,
            }  # fmt: skip
        case events.RenameEvent():
            return "name_changes", {
                "old_symbol": symbol, "old_cusip": _cusip(symbol),
                "new_symbol": event.new_symbol, "new_cusip": _cusip(event.new_symbol),
            }  # fmt: skip
        case events.SpinOffEvent():
            return "spin_offs", {
                "source_symbol": symbol, "source_cusip": _cusip(symbol), "source_rate": 1,
                "new_symbol": event.new_symbol, "new_cusip": _cusip(event.new_symbol),
                "new_rate": event.rate, "ex_date": ex_date,
            }  # fmt: skip
        case events.DelistEvent():
            if event.price:
                return "cash_mergers", {
                    "acquiree_symbol": symbol, "acquiree_cusip": _cusip(symbol),
                    "rate": event.price, "effective_date": ex_date,
                }  # fmt: skip
            return "worthless_removals", {"symbol": symbol, "cusip": _cusip(symbol)}


def _cusip(symbol: str) -> str:
    """Nine characters in the form of a CUSIP, the same for a symbol every time."""
    return identity("cusip", symbol).replace("-", "").upper()[:9]
