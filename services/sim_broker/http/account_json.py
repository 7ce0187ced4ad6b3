"""Orders and account in Alpaca's wire form: its field names, money and shares as strings.

Pure; called by the HTTP routes and by the trade_updates stream.
"""

from decimal import Decimal

from services.sim_broker.exchange.account_book import Account, AccountBook
from services.sim_broker.exchange.activity import Activity
from services.sim_broker.exchange.order import BrokerOrder, OrderRefusal, OrderUpdate, identity
from services.sim_broker.exchange.position import AccountPosition
from services.sim_broker.number_format import format_decimal, format_ratio
from shared.schemas.json_types import JsonObject
from shared.schemas.values import OrderStatus, Side

Json = JsonObject
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
        "failed_at": one.failed_at,
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": asset_id(one.symbol),
        "symbol": one.symbol,
        "asset_class": ASSET_CLASS,
        "notional": None,
        "qty": format_decimal(one.qty),
        "filled_qty": format_decimal(one.filled_qty),
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
            "qty": format_decimal(update.qty or 0),
            "position_qty": format_decimal(update.position_qty or 0),
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
        "trading_blocked": one.blocked,
        "transfers_blocked": False,
        "account_blocked": one.blocked,
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


def position(one: AccountPosition, available: Decimal) -> Json:
    sign = 1 if one.qty > 0 else -1
    profit = one.market_value - sign * one.cost
    today = one.qty * (one.last_price - one.lastday_price)
    return {
        "asset_id": asset_id(one.symbol),
        "symbol": one.symbol,
        "exchange": EXCHANGE,
        "asset_class": ASSET_CLASS,
        "asset_marginable": False,
        "qty": format_decimal(one.qty),
        "qty_available": format_decimal(sign * available),
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


def activity_id(one: Activity) -> str:
    """Alpaca's form: the instant, then the id."""
    return f"{one.at:%Y%m%d%H%M%S%f}::{one.id}"


def activity(one: Activity, filled: BrokerOrder | None) -> Json:
    """A fill with its order, or what else changed cash or shares."""
    common: Json = {"id": activity_id(one), "activity_type": one.type}
    if filled and one.price is not None:
        return common | {
            "transaction_time": one.at,
            "type": "fill" if filled.status is OrderStatus.FILLED else "partial_fill",
            "price": format_decimal(one.price),
            "qty": format_decimal(abs(one.qty)),
            "side": Side.BUY if one.qty > 0 else Side.SELL,
            "symbol": one.symbol,
            "leaves_qty": format_decimal(filled.remaining),
            "order_id": one.order_id,
            "cum_qty": format_decimal(filled.filled_qty),
            "order_status": filled.status,
        }
    row = common | {
        "date": f"{one.at:%Y-%m-%d}",
        "net_amount": format_decimal(one.net_amount),
        "status": "executed",
    }
    if one.symbol:
        row |= {"symbol": one.symbol, "qty": format_decimal(one.qty)}
    return row


def asset_id(symbol: str) -> str:
    return identity("asset", symbol)


def _price(price: Decimal | None) -> str | None:
    return None if price is None else format_decimal(price)
