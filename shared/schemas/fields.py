"""What the fields of messages are made of: the grammar of names, the ranges of numbers, lengths.

Imported by values and messages; imports nothing of ours. The decoder refuses whatever lies outside;
decimals and instants are checked whenever a value is built, texts of ours are cut to their length.
"""

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, TypeAlias

from msgspec import Meta

MAX_PRICE = Decimal(10_000_000)
"""Dollars a share: more than ten times the dearest share there is; beyond is a vendor's error."""
MIN_PRICE = Decimal("0.0001")
"""The smallest tick of a US share."""
MAX_MONEY = Decimal(1_000_000_000_000)
"""Dollars in an account."""
MAX_NUMBER = Decimal(10) ** 18
"""Scores and indicators, volumes included."""
MAX_DIGITS = 48
"""Characters of a decimal: a float64 needs 24, an exact average of fills a few more."""
MAX_TIME_STOP_BARS = 250
"""A year of sessions."""
MAX_SHARES = 10_000_000
MAX_PARTS = 64
"""Parts of one scan: at least 12,000 signals; more is a flood and would fill a reader's memory."""
MAX_QUOTES_REQUESTED = 5_000
"""Symbols asked for again at once: several times the largest universe."""
MAX_ENTRIES = 1_000
"""Exits, signals or quotes in one part; an envelope has room for about as many."""
FIRST_YEAR, LAST_YEAR = 1962, 2199
"""Daily bars of single shares begin in 1962."""


@dataclass(frozen=True, slots=True)
class DecimalRange:
    """Both ends are allowed."""

    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class Clipped:
    """A text that is cut to so many characters when one of us builds it."""

    length: int


MAX_SYMBOL = 16
"""Longer than any listed symbol; the bar archive stores names in so many bytes."""
SHARE = r"[A-Z][A-Z0-9]{0,11}(\.[A-Z][A-Z0-9]{0,3})?"
SYMBOL_GRAMMAR = rf"^{SHARE}$(?!\n)"
Symbol: TypeAlias = Annotated[str, Meta(pattern=SYMBOL_GRAMMAR, max_length=MAX_SYMBOL)]
"""A tradable share: AAPL, or with its class after a dot: BRK.B."""
ForeignName: TypeAlias = Annotated[str, Meta(max_length=64), Clipped(64)]
"""A vendor's or broker's name of something that need not be tradable by us: an option, a coin."""
StrategyName: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]*$(?!\n)", max_length=64)]
"""A file's name, or empty for shares that no strategy of ours has bought."""
Id: TypeAlias = Annotated[str, Meta(pattern=r"^[!-~]+$(?!\n)", max_length=128)]
OptionalId: TypeAlias = Annotated[str, Meta(pattern=r"^[!-~]*$(?!\n)", max_length=128)]
Word: TypeAlias = Annotated[str, Meta(pattern=r"^[!-~]+$(?!\n)", max_length=64)]
"""A short name of ours: an indicator, a reason, a bar's defect."""
Digest: TypeAlias = Annotated[str, Meta(pattern=r"^[!-~]*$(?!\n)", max_length=128)]
Text: TypeAlias = Annotated[str, Meta(max_length=1000), Clipped(1000)]
"""Words for people; as long as a broker's explanation, short enough for hundreds in a message."""

Price: TypeAlias = Annotated[Decimal, DecimalRange(MIN_PRICE, MAX_PRICE)]
PriceOrZero: TypeAlias = Annotated[Decimal, DecimalRange(Decimal(0), MAX_PRICE)]
"""Zero: nobody stands on that side of a quote, or the share is worth nothing."""
Level: TypeAlias = Annotated[Decimal, DecimalRange(-MAX_PRICE, MAX_PRICE)]
"""A price that a strategy has computed and the gate has yet to judge; it may be impossible."""
Money: TypeAlias = Annotated[Decimal, DecimalRange(-MAX_MONEY, MAX_MONEY)]
Number: TypeAlias = Annotated[Decimal, DecimalRange(-MAX_NUMBER, MAX_NUMBER)]
Ratio: TypeAlias = Annotated[Decimal, DecimalRange(Decimal("0.000001"), Decimal(1_000_000))]
"""One side of a split."""
Fraction: TypeAlias = Annotated[Decimal, DecimalRange(Decimal(0), Decimal(1))]
Budget: TypeAlias = Annotated[Decimal, DecimalRange(Decimal(0), MAX_MONEY)]
Multiple: TypeAlias = Annotated[Decimal, DecimalRange(Decimal(0), Decimal(1000))]
Shares: TypeAlias = Annotated[Decimal, DecimalRange(-MAX_MONEY, MAX_MONEY)]
"""What a broker reports as held: signed, possibly fractional, of anything."""

Qty: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_SHARES)]
QtyOrZero: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_SHARES)]
QtyChange: TypeAlias = Annotated[int, Meta(ge=-MAX_SHARES, le=MAX_SHARES)]
TimeStopBars: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_TIME_STOP_BARS)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000)]
Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=86_400)]
Part: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_PARTS)]
Place: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
"""Counted from 1."""
Sequence: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
"""A writer's running number; exact in every JSON reader."""


def is_symbol(text: str) -> bool:
    """Whether a share of this name can be traded: it may stand in a message as a symbol."""
    return len(text) <= MAX_SYMBOL and re.fullmatch(SYMBOL_GRAMMAR, text) is not None


def decimal_problem(value: Decimal, allowed: DecimalRange) -> str:
    """What is wrong with a decimal, or nothing."""
    if not value.is_finite():
        return "is not a finite number"
    if not allowed.low <= value <= allowed.high:
        return f"is not between {allowed.low} and {allowed.high}"
    return "has too many digits" if len(str(value)) > MAX_DIGITS else ""


def instant_problem(value: dt.datetime) -> str:
    return "has no time zone" if value.tzinfo is None else date_problem(value)


def date_problem(value: dt.date) -> str:
    if FIRST_YEAR <= value.year <= LAST_YEAR:
        return ""
    return f"is not between {FIRST_YEAR} and {LAST_YEAR}"
