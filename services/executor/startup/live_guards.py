"""Nothing starts unless mode, account number and arming tell the same story.

Called by `__main__` before anything runs, and by recovery with the account the broker shows.
Whether address and key fit the mode is each broker's own to check (`brokers/alpaca/connection.py`).
"""

import datetime as dt
import json
from pathlib import Path

from services.executor.brokers.protocol import AccountView
from shared.domain.errors import UserError
from shared.schemas.values import Mode


def refuse_account(mode: Mode, expected: str, account: AccountView) -> None:
    """Raises UserError if the broker's account is not the one meant.

    `expected` is the mode's own name where no account number was configured.
    """
    if mode is Mode.SIM:
        return
    if expected not in (mode.value, account.number):
        raise UserError(
            f"The broker's account is {account.number}, but KOBE_ACCOUNT says {expected}."
        )
    if account.paper is not None and account.paper is not (mode is Mode.PAPER):
        raise UserError(f"Account {account.number} is not a {mode} account.")
    if mode is Mode.LIVE and expected != account.number:
        raise UserError(
            f"Mode live needs KOBE_ACCOUNT to name the account; the broker says {account.number}."
        )


def refuse_unarmed(mode: Mode, arm_file: Path, account: str, now: dt.datetime) -> None:
    """Raises UserError if live trading is not armed for this account until now or later.

    The file is `{"account": …, "expires_at": …}`; other modes need none.
    """
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
            f"Live trading is not armed for account {account}; "
            "run `kobe live arm` (it lasts 24 hours)."
        )
