"""Numbers as Alpaca writes them: plain decimal strings without needless zeros."""

from decimal import Decimal


def format_decimal(value: Decimal | int) -> str:
    text = f"{Decimal(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_ratio(part: Decimal, whole: Decimal) -> str:
    return format_decimal(round(part / whole, 6)) if whole else "0"
