"""Numbers as Alpaca writes them: plain decimal strings without needless zeros."""

from __future__ import annotations

from decimal import Decimal


def plain(value: Decimal | int) -> str:
    text = f"{Decimal(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ratio(part: Decimal, whole: Decimal) -> str:
    return plain(round(part / whole, 6)) if whole else "0"
