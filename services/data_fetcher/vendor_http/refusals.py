"""What a vendor's answer means when it is not 200.

One sentence each, and whether asking again can help.

Called by the vendor client. A refusal names the vendor, the status, the vendor's own words and what
to do.
"""

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from shared.domain.errors import TransientError, UserError
from shared.runtime.config.environment import MISSING_KEYS

VENDOR_REFUSES = 4
LONGEST_QUOTE = 160
"""Characters of a vendor's own words that are repeated."""
AFTER_RESET = 1.0
"""Seconds added to a reset announced in whole seconds."""


class KeyRefused(UserError):
    """401: the key is missing, mistyped or revoked."""


class PlanRefused(UserError):
    """403: the account's plan does not include what was asked for."""


class NotFound(UserError):
    """404: the vendor does not know the symbol or the path."""


class RequestRefused(UserError):
    """400, 422 and whatever else no repetition changes."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """Whom we speak to, in words: `keys` names the variables that hold its key."""

    name: str
    keys: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


def refusal(vendor: Vendor, reply: Reply, what: str) -> UserError | TransientError:
    """The exception for a status other than 200; `what` names what was asked for."""
    words = _words(reply)
    said = f" ({words})" if words else ""
    status = reply.status
    if status == 401:
        hint = f"check {vendor.keys}" if vendor.keys else "it needs a key"
        return KeyRefused(
            f"{vendor.name} refuses the key, HTTP 401{said}: {hint}.", exit_code=MISSING_KEYS
        )
    if status == 403:
        return PlanRefused(
            f"{vendor.name} does not let this account have {what}, HTTP 403{said}: its plan does "
            f"not "
            "include it; ask for less, choose another vendor, or upgrade the plan.",
            exit_code=VENDOR_REFUSES,
        )
    if status == 404:
        return NotFound(
            f"{vendor.name} does not know {what}, HTTP 404{said}.", exit_code=VENDOR_REFUSES
        )
    if status == 429:
        return TransientError(f"{vendor.name} takes no more requests for now, HTTP 429{said}")
    if status == 408 or status >= 500:
        return TransientError(f"{vendor.name} has trouble, HTTP {status}{said}")
    if 300 <= status < 400:
        return RequestRefused(
            f"{vendor.name} redirects to another address, HTTP {status}; it is not followed, for "
            f"the key "
            "would go along: check the vendor's URL.",
            exit_code=VENDOR_REFUSES,
        )
    return RequestRefused(
        f"{vendor.name} refuses the request for {what}, HTTP {status}{said}.",
        exit_code=VENDOR_REFUSES,
    )


def pause_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the vendor asks us to wait.

    Retry-After (seconds or a date), else X-RateLimit-Reset (Unix seconds).

    `now` is Unix time; None if it names neither.
    """
    after = headers.get("retry-after", "").strip()
    if after:
        if after.isdigit():
            return float(after)
        try:
            return max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - now)
        except ValueError:
            return None
    reset = headers.get("x-ratelimit-reset", "").strip()
    return max(0.0, float(reset) - now) + AFTER_RESET if reset.isdigit() else None


def _words(reply: Reply) -> str:
    """What the body says, without markup, on one line; "" if it says nothing."""
    text = reply.body[:4096].decode(errors="replace").strip()
    try:
        body = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "" if text.startswith("<") else _line(text)
    if isinstance(body, dict):
        return _line(str(body.get("message") or body.get("error") or ""))
    return _line(text)


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_QUOTE else f"{line[:LONGEST_QUOTE]}…"
