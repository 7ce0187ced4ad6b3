"""`kobe vendor probe`: whether a vendor answers these keys with the bars it must have."""

import datetime as dt
import os
import time
from typing import Annotated

import typer

from services.console.cli.data_fetch import EnvFile
from services.console.cli.output import AsJson, print_json, terminal
from services.console.stack.vendor_settings import ask_settings, command_environ
from services.data_fetcher.latest_session import last_complete_session
from services.data_fetcher.vendor_registry import actions_vendor, bars_vendor
from shared.domain.errors import TransientError, UserError

app = typer.Typer(help="Try market data vendors.", no_args_is_help=True)

VENDOR_AWAY = 4
SYMBOL = "AAPL"
SPLIT_DAY = dt.date(2020, 8, 31)
"""AAPL's 4:1 split: a vendor whose raw prices do not fall that day does not mean raw."""
BEFORE = dt.date(2020, 8, 28)
FALL = 0.5
"""Raw closes fall to about a quarter that day."""


@app.command()
def probe(
    vendor: Annotated[str, typer.Argument(help="massive, alpaca, multi, yahoo or stooq.")],
    symbol: Annotated[str, typer.Option(help="The symbol to ask about.")] = SYMBOL,
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask a vendor for the last bar of a symbol, and whether its prices mean what it says."""
    _, place = ask_settings(command_environ(env_file, os.environ))
    bars, last = bars_vendor(vendor, place), last_complete_session(place.clock.now())
    begun = time.monotonic()
    try:
        latest = bars.daily_bars((symbol,), last, last)
        seconds = time.monotonic() - begun
        around = bars.daily_bars((SYMBOL,), BEFORE, SPLIT_DAY)
    except TransientError as error:
        raise UserError(f"{error}.", exit_code=VENDOR_AWAY) from error
    if not latest.row.size:
        raise UserError(f"{vendor} has no bar of {symbol} for {last}.", exit_code=VENDOR_AWAY)
    looks_raw = around.row.size == 2 and float(around.close[1] / around.close[0]) < FALL
    found = {
        "vendor": vendor,
        "symbol": symbol,
        "session": last,
        "close": float(latest.close[0]),
        "basis": str(bars.basis),
        "prices_look": "unadjusted" if looks_raw else "adjusted, or without 2020",
        "corporate_actions": actions_vendor(vendor, place) is not None,
        "seconds": round(seconds, 2),
    }
    if as_json:
        print_json(found)
        return
    terminal.print(
        f"{vendor} answers in {found['seconds']} s: {symbol} closed at {found['close']} on "
        f"{last}; prices are "
        f"{found['basis']} by its word, {found['prices_look']} by their looks."
    )
