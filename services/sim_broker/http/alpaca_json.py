"""The broker's answers in Alpaca's wire form: its field names, money and shares as strings.

Pure; called by the HTTP routes and by the trade_updates stream.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from services.sim_broker.exchange.account_book import Account, AccountBook
from services.sim_broker.exchange.market_hours import CLOSES, EASTERN, OPENS, instant, next_weekday
from services.sim_broker.exchange.order import BrokerOrder, OrderRefusal, OrderUpdate, identity
from services.sim_broker.exchange.position import AccountPosition
from services.sim_broker.number_format import format_decimal, format_ratio
from shared.schemas.values import Quote, Stage

Json = dict[str, Any]
EXCHANGE = "NASDAQ"
ASSET_CLASS = "us_equity"


def refusal(refused: OrderRefusal) -> Json:
    return {"code": refused.code, "message": refused.message, **refused.extra}


def order(one: BrokerOrder, leg: BrokerOrder | None = None) -> Json:
    """An order; `leg` is given only where Alpaca nests legs."""
    average = one.average_price
    return {
        "id": one.id,
        "client_order_id": one.client_order_id,
        "created_at": one.submitted_at,
        "updated_at": one.updated_at,
        "submitted_at": one.submitted_at,
        "filled_at": one.filled_at,
        "expired_at": one.expired_at,
        "expires_at": one.expires_at,
        "canceled_at": one.canceled_at,
        "failed_at": None,
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": asset_id(one.symbol),
        "symbol": one.symbol,
        "asset_class": ASSET_CLASS,
        "notional": None,
        "qty": str(one.qty),
        "filled_qty": str(one.filled_qty),
        "filled_avg_price": format_decimal(round(average, 6)) if average is not None else None,
        "order_class": one.order_class,
        "order_type": one.type,
        "type": one.type,
        "side": one.side,
        "position_intent": one.position_intent,
        "time_in_force": one.time_in_force,
        "limit_price": _price(one.limit_price),
        "stop_price": _price(one.stop_price),
        "status": one.status,
        "extended_hours": False,
        "legs": [order(leg)] if leg else None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    }


def trade_update(update: OrderUpdate) -> Json:
    data: Json = {
        "event": update.event,
        "execution_id": update.execution_id,
        "timestamp": update.at,
        "order": order(update.order),
    }
    if update.price is not None:
        data |= {
            "price": format_decimal(update.price),
            "qty": str(update.qty),
            "position_qty": str(update.position_qty),
        }
    return {"stream": "trade_updates", "data": data}


def account(book: AccountBook, *, shorting: bool) -> Json:
    one = book.account
    values = [each.market_value for each in book.positions.values()]
    long = sum((value for value in values if value > 0), Decimal(0))
    short = sum((value for value in values if value < 0), Decimal(0))
    power, equity = format_decimal(book.buying_power), format_decimal(book.equity)
    return {
        "id": identity("account", one.number),
        "account_number": one.number,
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": "USD",
        "buying_power": power,
        "regt_buying_power": power,
        "non_marginable_buying_power": power,
        "options_buying_power": "0",
        "cash": format_decimal(one.cash),
        "accrued_fees": "0",
        "pending_transfer_in": "0",
        "portfolio_value": equity,
        "equity": equity,
        "last_equity": format_decimal(one.last_equity),
        "long_market_value": format_decimal(long),
        "short_market_value": format_decimal(short),
        "position_market_value": format_decimal(long - short),
        "initial_margin": format_decimal(long - short),
        "maintenance_margin": format_decimal(long - short),
        "last_maintenance_margin": "0",
        "sma": "0",
        "multiplier": "1",
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": one.suspended,
        "shorting_enabled": shorting,
        "created_at": one.created_at,
        "balance_asof": str(one.session or one.created_at.date()),
        "options_approved_level": 0,
        "options_trading_level": 0,
        "intraday_adjustments": "0",
        "pending_reg_taf_fees": "0",
    }


def configurations(one: Account, *, shorting: bool) -> Json:
    return {
        "dtbp_check": "entry",
        "pdt_check": "entry",
        "fractional_trading": False,
        "max_margin_multiplier": "1",
        "max_options_trading_level": 0,
        "no_shorting": not shorting,
        "suspend_trade": one.suspended,
        "trade_confirm_email": "none",
        "ptp_no_exception_entry": False,
        "disable_overnight_trading": True,
    }


def position(one: AccountPosition, available: int) -> Json:
    sign = 1 if one.qty > 0 else -1
    profit = one.market_value - sign * one.cost
    today = one.qty * (one.last_price - one.lastday_price)
    return {
        "asset_id": asset_id(one.symbol),
        "symbol": one.symbol,
        "exchange": EXCHANGE,
        "asset_class": ASSET_CLASS,
        "asset_marginable": False,
        "qty": str(one.qty),
        "qty_available": str(sign * available),
        "avg_entry_price": format_decimal(round(one.average_price, 6)),
        "side": "long" if one.qty > 0 else "short",
        "market_value": format_decimal(one.market_value),
        "cost_basis": format_decimal(sign * one.cost),
        "unrealized_pl": format_decimal(profit),
        "unrealized_plpc": format_ratio(profit, one.cost),
        "unrealized_intraday_pl": format_decimal(today),
        "unrealized_intraday_plpc": format_ratio(today, abs(one.qty * one.lastday_price)),
        "current_price": format_decimal(one.last_price),
        "lastday_price": format_decimal(one.lastday_price),
        "change_today": format_ratio(one.last_price - one.lastday_price, one.lastday_price),
    }


def asset(symbol: str, *, shorting: bool) -> Json:
    return {
        "id": asset_id(symbol),
        "class": ASSET_CLASS,
        "exchange": EXCHANGE,
        "symbol": symbol,
        "name": symbol,
        "status": "active",
        "tradable": True,
        "marginable": False,
        "shortable": shorting,
        "easy_to_borrow": shorting,
        "borrow_status": "easy_to_borrow" if shorting else "hard_to_borrow",
        "fractionable": False,
        "attributes": [],
    }


def asset_id(symbol: str) -> str:
    return identity("asset", symbol)


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


def clock(one: Account, sessions: Sequence[dt.date]) -> Json:
    """The broker's clock in New York wall times with their offset."""
    today = one.session or sessions[0]
    following = next((each for each in sessions if each > today), next_weekday(today))
    before_open = one.session is None or one.stage is Stage.START
    closes_today = before_open or one.stage is not Stage.MARK
    return {
        "timestamp": one.now.astimezone(EASTERN),
        "is_open": one.is_open,
        "next_open": instant(today if before_open else following, OPENS).astimezone(EASTERN),
        "next_close": instant(today if closes_today else following, CLOSES).astimezone(EASTERN),
    }


def calendar(sessions: Sequence[dt.date], start: dt.date, end: dt.date) -> list[Json]:
    return [
        {
            "date": each,
            "open": f"{OPENS:%H:%M}",
            "close": f"{CLOSES:%H:%M}",
            "session_open": "0400",
            "session_close": "2000",
            "settlement_date": next_weekday(each),
        }
        for each in sessions
        if start <= each <= end
    ]


def _price(price: Decimal | None) -> str | None:
    return None if price is None else format_decimal(price)
