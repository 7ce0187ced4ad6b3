"""Ids are derived, never drawn: the same intent twice has the same id, so a repeat is refused.

Called by the gate (signals, orders), the executor (protections) and the scheduler (scans).
"""

import base64
import datetime as dt
import hashlib

from shared.schemas.values import Direction, Mode, Purpose

CLIENT_ORDER_PREFIX = "k81-"


def _digest(*parts: object) -> bytes:
    return hashlib.sha256("|".join(str(part) for part in parts).encode()).digest()


def scan_id(session: dt.date, slot_at: dt.datetime) -> str:
    """`SCAN_20240105_143500`: the session and the slot's UTC time."""
    return f"SCAN_{session:%Y%m%d}_{slot_at:%H%M%S}"


def signal_id(
    *,
    mode: Mode,
    account: str,
    session: dt.date,
    strategy: str,
    symbol: str,
    direction: Direction,
    purpose: Purpose,
) -> str:
    """The id of an intent, the same in a re-run of its scan; `session` is the one to trade in."""
    return _digest(mode, account, session, strategy, symbol, direction, purpose).hex()[:32]


def order_digest(signal: str, attempt: int) -> bytes:
    return _digest("order", signal, attempt)


def protection_digest(parent_client_order_id: str, counter: int) -> bytes:
    return _digest("protect", parent_client_order_id, counter)


def client_order_id(digest: bytes) -> str:
    """`k81-` and 26 base32 characters (130 bits): 30 in all, within the broker's limit of 48."""
    return CLIENT_ORDER_PREFIX + base64.b32encode(digest[:17]).decode().lower()[:26]


def decision_id(digest: bytes, *, session: dt.date, first_slot_at: dt.datetime, symbol: str) -> str:
    """The readable id of an order: session, slot of its first attempt, symbol, six hex digits."""
    return f"DEC_{session:%Y%m%d}_{first_slot_at:%H%M%S}_{symbol}_{digest.hex()[:6].upper()}"


def is_ours(order_id: str) -> bool:
    return order_id.startswith(CLIENT_ORDER_PREFIX)
