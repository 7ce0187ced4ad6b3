"""Which listed stocks are liquid enough, judged from their last sessions.

Price, dollar volume, coverage. Pure.

Called by build.py; every candidate keeps its figures, and its reason if it was left out.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import msgspec
import numpy as np

from services.data_fetcher.vendor_registry import ShareListing
from shared.domain.market.bars import Bars
from shared.domain.market.refusals import refuse_impossible

CENTS = Decimal("0.01")


class LeftOut(StrEnum):
    """Why a candidate is not in the universe, in the order in which it is asked."""

    NO_BARS = "no_bars"
    STALE = "stale"
    COVERAGE = "coverage"
    PRICE = "price"
    DOLLAR_VOLUME = "dollar_volume"
    NO_OPTIONS = "no_options"
    BEYOND_CAP = "beyond_cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseRules:
    """`sessions` are looked at.

    Bars must be there on `minimum_sessions` of them, the last included.
    """

    minimum_price: Decimal = Decimal(5)
    minimum_dollar_volume: Decimal = Decimal(10_000_000)
    sessions: int = 60
    minimum_sessions: int = 57
    cap: int = 900


class UniverseProof(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate with its figures as of the day; `rank` counts from 1, 0 is left out."""

    symbol: str
    name: str
    exchange: str
    identity: str
    close: Decimal | None = None
    dollar_volume: Decimal | None = None
    sessions: int = 0
    options: str = ""
    rank: int = 0
    left_out: str = ""


def judge(
    listings: Sequence[ShareListing], bars: Bars, last: dt.date, rules: UniverseRules
) -> list[UniverseProof]:
    """Every candidate with its figures.

    The liquid ones by dollar volume, largest first, then the others.
    """
    good, _ = refuse_impossible(bars)
    place = {symbol: row for row, symbol in enumerate(good.symbols)}
    proofs = [
        _judge_one(listing, good, place.get(listing.symbol), last, rules) for listing in listings
    ]
    return sorted(proofs, key=lambda each: (bool(each.left_out), -(each.dollar_volume or 0)))


def _judge_one(
    listing: ShareListing, bars: Bars, row: int | None, last: dt.date, rules: UniverseRules
) -> UniverseProof:
    proof = UniverseProof(
        symbol=listing.symbol,
        name=listing.name,
        exchange=listing.exchange,
        identity=listing.identity,
    )
    own = np.flatnonzero(bars.row == row) if row is not None else np.array([], np.intp)
    if not own.size:
        return msgspec.structs.replace(proof, left_out=LeftOut.NO_BARS.value)
    latest = own[np.argmax(bars.session[own])]
    proof = msgspec.structs.replace(
        proof,
        close=_dollars(bars.close[latest]),
        dollar_volume=_dollars(np.median(bars.close[own] * bars.volume[own])),
        sessions=int(own.size),
    )
    is_stale = bars.session[latest] != np.datetime64(last)
    reason = _left_out(proof, rules, is_stale=bool(is_stale))
    return msgspec.structs.replace(proof, left_out=reason.value if reason else "")


def _left_out(proof: UniverseProof, rules: UniverseRules, *, is_stale: bool) -> LeftOut | None:
    if is_stale:
        return LeftOut.STALE
    if proof.sessions < rules.minimum_sessions:
        return LeftOut.COVERAGE
    if proof.close is None or proof.close <= rules.minimum_price:
        return LeftOut.PRICE
    if proof.dollar_volume is None or proof.dollar_volume < rules.minimum_dollar_volume:
        return LeftOut.DOLLAR_VOLUME
    return None


def _dollars(value: float) -> Decimal:
    return Decimal(repr(float(value))).quantize(CENTS)
