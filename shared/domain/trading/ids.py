"""Ids are derived, never drawn: the same wish made twice has the same id, so that a repeat dies at every door.

Called by the gate (signals, orders), the executor (protections) and the scheduler (scans).
"""

from __future__ import annotations

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
    """What is wanted; a re-run of the scan makes the same. `session` is the one in which it is to be traded."""
    return _digest(mode, account, session, strategy, symbol, direction, purpose).hex()[:32]


def order_digest(signal: str, attempt: int) -> bytes:
    return _digest("order", signal, attempt)


def protection_digest(parent_client_order_id: str, counter: int) -> bytes:
    return _digest("protect", parent_client_order_id, counter)


def client_order_id(digest: bytes) -> str:
    """`k81-` and 26 base32 characters (130 bits): 30 in all, within the broker's limit of 48."""
    return CLIENT_ORDER_PREFIX + base64.b32encode(digest[:17]).decode().lower()[:26]


def decision_id(digest: bytes, *, session: dt.date, first_slot_at: dt.datetime, symbol: str) -> str:
    """The readable form: session, slot of the first attempt, symbol, six hex of the order's digest."""
    return f"DEC_{session:%Y%m%d}_{first_slot_at:%H%M%S}_{symbol}_{digest.hex()[:6].upper()}"


def is_ours(order_id: str) -> bool:
    return order_id.startswith(CLIENT_ORDER_PREFIX)
