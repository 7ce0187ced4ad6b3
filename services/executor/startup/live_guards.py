"""Nothing starts unless mode, broker address, key and account number tell the same story.

Called by __main__ before anything runs, and by recovery with the account number the broker gives.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from urllib.parse import urlsplit

from shared.domain.errors import UserError
from shared.schemas.values import Mode

HOSTS = {Mode.PAPER: "paper-api.alpaca.markets", Mode.LIVE: "api.alpaca.markets"}
KEY_PREFIXES = {Mode.PAPER: "PK", Mode.LIVE: "AK"}
PAPER_ACCOUNT_PREFIX = "PA"
MISSING_KEYS = 2


def refuse_address(mode: Mode, url: str, key_id: str, secret: str) -> None:
    """Raises UserError with the sentence that says what does not fit."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if mode is Mode.SIM:
        if host == "alpaca.markets" or host.endswith(".alpaca.markets"):
            raise UserError(
                f"Mode sim may not talk to {host}; set KOBE_MODE to paper or live, or remove the address."
            )
        return
    if host != HOSTS[mode] or parts.scheme != "https":
        raise UserError(f"Mode {mode} needs the broker https://{HOSTS[mode]}, not {url}.")
    if not key_id or not secret:
        raise UserError(
            f"Mode {mode} needs ALPACA_API_KEY_ID and ALPACA_API_SECRET_KEY (or their _FILE forms).",
            exit_code=MISSING_KEYS,
        )
    if not key_id.startswith(KEY_PREFIXES[mode]):
        raise UserError(
            f"Mode {mode} needs a key that begins with {KEY_PREFIXES[mode]}; this one does not."
        )


def refuse_account(mode: Mode, expected: str, number: str) -> None:
    """`expected` is the mode's own name where no account number was configured."""
    if mode is Mode.SIM:
        return
    if expected not in (mode.value, number):
        raise UserError(f"The broker's account is {number}, but KOBE_ACCOUNT says {expected}.")
    if number.startswith(PAPER_ACCOUNT_PREFIX) is not (mode is Mode.PAPER):
        raise UserError(f"Account {number} is not a {mode} account.")
    if mode is Mode.LIVE and expected != number:
        raise UserError(
            f"Mode live needs KOBE_ACCOUNT to name the account; the broker says {number}."
        )


def refuse_unarmed(mode: Mode, arm_file: Path, account: str, now: dt.datetime) -> None:
    """Live needs a file that names the account and has not expired: {"account": …, "expires_at": …}."""
    if mode is not Mode.LIVE:
        return
    try:
        armed = json.loads(arm_file.read_text())
        expires_at = dt.datetime.fromisoformat(armed["expires_at"])
        valid = armed["account"] == account and expires_at > now
    except (OSError, ValueError, KeyError, TypeError):
        valid = False
    if not valid:
        raise UserError(
            f"Live trading is not armed for account {account}; run `kobe live arm` (it lasts 24 hours)."
        )
