"""Blots out secrets in finished text, whatever they came in: a field, a traceback, another logger.

Used at the last step before text leaves the process, so that no path around it exists.
"""

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"
# A shorter value would blot out ordinary words; our own secrets have 40 characters and more.
SHORTEST = 4


class Mask:
    """`mask(text)` is the text without the secrets, in any of the spellings they may have taken."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {
            text for secret in secrets for text in _spellings(secret) if len(text) >= SHORTEST
        }
        # The longest first: a secret may stand inside another's spelling.
        self._spellings = sorted(spellings, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for spelling in self._spellings:
            text = text.replace(spelling, MASK)
        return text


def _spellings(secret: str) -> Iterable[str]:
    """As it is, and as JSON, repr, a URL and base64 would write it."""
    raw = secret.encode("utf-8", "surrogateescape")
    for text in (secret, repr(secret)[1:-1], repr(raw)[2:-1]):
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield quote(raw, safe="")
    yield base64.b64encode(raw).decode().rstrip("=")
    yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
