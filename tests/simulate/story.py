"""A story: what the market does, what is signaled, and what goes wrong when. Drawn from a seed.

Every element stands by itself, so that a story that fails can be told with fewer of them.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from shared.schemas.values import Slot

SESSIONS = tuple(dt.date(2024, 3, day) for day in (4, 5, 6, 7))
"""A Monday to a Thursday in winter time: one session of history, two of trouble, a calm one."""
TRADING = SESSIONS[1:]
CALM = SESSIONS[-1]
"""Everything has healed, or must; nothing goes wrong any more."""
PRICES = {
    "AAA": Decimal("12.40"),
    "BBB": Decimal("23.10"),
    "CCC": Decimal("36.80"),
    "DDD": Decimal("7.25"),
    "EEE": Decimal("54.00"),
    "PROBE": Decimal("20.00"),
}
SYMBOLS = tuple(symbol for symbol in PRICES if symbol != "PROBE")
OPEN_SLOT, RETRY_SLOT, CLOSE_SLOT = 5 * 60.0, 60 * 60.0, (6 * 60 + 25) * 60.0
"""Seconds after the open."""
DAY_SECONDS = 6.5 * 3600


@dataclass(frozen=True, slots=True)
class Move:
    """One symbol's bar of a session, each price relative to the close before."""

    session: dt.date
    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    def __str__(self) -> str:
        return (
            f"{self.session:%a} {self.symbol} opens x{self.open}, "
            f"ranges x{self.low} to x{self.high}, closes x{self.close}"
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A signal to buy, with stop and target relative to the last close."""

    session: dt.date
    slot: Slot
    symbol: str
    stop: Decimal
    target: Decimal | None
    time_stop: int

    def __str__(self) -> str:
        target = f", target x{self.target}" if self.target else ""
        return (
            f"{self.session:%a} {self.slot} slot: buy {self.symbol}, stop x{self.stop}{target}, "
            f"out after {self.time_stop} bars"
        )


@dataclass(frozen=True, slots=True)
class Incident:
    """Something goes wrong `seconds` after the open of a session; `what` is a kind of WORLD."""

    session: dt.date
    seconds: float
    what: str
    details: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        opened = dt.datetime.combine(self.session, dt.time(9, 30))
        at = opened + dt.timedelta(seconds=self.seconds)
        words = " ".join(f"{name}={value}" for name, value in self.details)
        return f"{at:%a %H:%M:%S} {self.what} {words}".rstrip()


Element = Move | Entry | Incident


@dataclass(frozen=True, slots=True)
class Story:
    seed: int
    elements: tuple[Element, ...] = field(default=())

    def keep(self, elements: tuple[Element, ...]) -> Story:
        return replace(self, elements=elements)

    def of(self, kind: type[Element]) -> list[Element]:
        return [each for each in self.elements if isinstance(each, kind)]

    def __str__(self) -> str:
        return "\n".join(f"  {each}" for each in self.elements) or "  nothing happens"


def draw(seed: int) -> Story:
    """The story of a seed: the same seed tells the same story."""
    source = random.Random(seed)
    elements: list[Element] = []
    for session in TRADING[:-1]:
        elements += [_move(source, session, each) for each in SYMBOLS if source.random() < 0.5]
        elements += _entries(source, session)
    signaled = [each.symbol for each in elements if isinstance(each, Entry)]
    number = source.choice((0, 1, 1, 2, 2, 3, 4, 6))
    elements += [_incident(source, signaled) for _ in range(number)]
    return Story(seed, tuple(elements))


def _move(source: random.Random, session: dt.date, symbol: str) -> Move:
    def factor(spread: float) -> Decimal:
        return Decimal(str(round(1 + source.uniform(-spread, spread), 3)))

    wild = source.random() < 0.25
    opening = factor(0.25 if wild else 0.02)
    close = opening * factor(0.2 if wild else 0.04)
    high = max(opening, close) * (1 + abs(factor(0.15 if wild else 0.03) - 1))
    low = min(opening, close) * (1 - abs(factor(0.15 if wild else 0.03) - 1))
    places = Decimal("0.001")
    return Move(session, symbol, *(each.quantize(places) for each in (opening, high, low, close)))


def _entries(source: random.Random, session: dt.date) -> list[Entry]:
    entries = []
    for slot in (Slot.OPEN, Slot.RETRY):
        count = source.choice((1, 2, 3, 3)) if slot is Slot.OPEN else source.choice((0, 0, 1))
        symbols = source.sample(SYMBOLS, count)
        entries += [_entry(source, session, slot, symbol) for symbol in symbols]
    return entries


def _entry(source: random.Random, session: dt.date, slot: Slot, symbol: str) -> Entry:
    stop, target = source.choice(("0.985", "0.95", "0.9")), source.choice((None, "1.02", "1.1"))
    if source.random() < 0.15:
        stop, target = (
            source.choice(("0.8", "0.999", "1.01", "-0.2")),
            source.choice((None, "0.99")),
        )
    return Entry(
        session,
        slot,
        symbol,
        Decimal(stop),
        Decimal(target) if target else None,
        source.choice((1, 2, 3)),
    )


# --- incidents ------------------------------------------------------------------------------------


def _incident(source: random.Random, signaled: list[str]) -> Incident:
    session = source.choice(TRADING[:-1])
    what = source.choice(tuple(_KINDS))
    details = _KINDS[what](source)
    if details.get("symbol") and signaled and source.random() < 0.8:
        details["symbol"] = source.choice(signaled)
    return Incident(session, _when(source), what, tuple(sorted(details.items())))


def _when(source: random.Random) -> float:
    """Mostly around a slot, when there is something to disturb."""
    slot = source.choice((OPEN_SLOT, OPEN_SLOT, RETRY_SLOT, CLOSE_SLOT))
    near = source.random()
    if near < 0.4:
        return slot - 5.0
    if near < 0.7:
        return round(slot + source.uniform(0.0, 20.0), 3)
    return round(source.uniform(-1200.0, DAY_SECONDS - 300), 1)


Details = Callable[[random.Random], dict[str, object]]


def _fault(kind: str, **choices: tuple[object, ...]) -> Details:
    def details(source: random.Random) -> dict[str, object]:
        found: dict[str, object] = {"kind": kind}
        for name, options in choices.items():
            found[name] = source.choice(options)
        return found

    return details


POSTS, LOOKS, CANCELS = "POST /v2/orders", "GET /v2/orders*", "DELETE /v2/orders*"
ANY_SYMBOL = (*SYMBOLS, "")
_KINDS = {
    "answer lost": _fault("lose", on=(POSTS, CANCELS), status=(500, 502, 504), times=(1, 2)),
    "refused": _fault("refuse", on=(POSTS,), status=(400, 403, 422, 429, 503), times=(1, 1, 3)),
    "look-ups fail": _fault("refuse", on=(LOOKS, "GET /v2/positions*"), status=(503,), times=(1, 5)),
    "hangs": _fault("delay_answer", on=(POSTS, CANCELS), seconds=(1.0, 4.0, 7.0)),
    "slow": _fault("delay", on=(POSTS, LOOKS), seconds=(0.5, 2.0, 6.0), times=(1, 4)),
    "cut": _fault("cut", on=(POSTS, LOOKS, CANCELS)),
    "cut before": _fault("cut_before", on=(POSTS, LOOKS)),
    "garbled": _fault("garble", on=(POSTS, LOOKS), body=("<html>", "{}", '{"id": "x"}', "[null]")),
    "appears late": _fault("hide", seconds=(2.0, 8.0, 20.0, 60.0), times=(1,)),
    "hidden": _fault("hide", times=(1, 3, 6)),
    "partial fill": _fault("partial", symbol=ANY_SYMBOL, shares=("0", "1", "2")),
    "lingers": _fault("linger", symbol=ANY_SYMBOL),
    "stop filled in part": _fault("partial_stop", symbol=ANY_SYMBOL, shares=("1",), times=(1, 2)),
    "ended by the broker": _fault(
        "end_on_arrival", symbol=ANY_SYMBOL, status=("canceled", "rejected"), which=("resting", "any"),
        times=(1, 2, 5),
    ),
    "stuck cancel": _fault("stuck_cancel", symbol=ANY_SYMBOL, times=(1, 3, 20)),
    "passed stops refused": _fault("refuse_stop", times=(0,)),
    "wrong empty list": _fault("empty_positions", times=(1, 2)),
    "null field": _fault(
        "set_field", on=("GET /v2/positions", "GET /v2/orders", "GET /v2/stocks/quotes/latest"),
        field=("qty", "avg_entry_price", "status", "ap", "symbol"), symbol=ANY_SYMBOL, times=(1, 2),
    ),
    "not a number": _fault(
        "set_field", on=("GET /v2/positions", "GET /v2/account"), field=("qty", "cash", "equity"),
        value=("NaN", "Infinity", "-1e400"), times=(1,),
    ),
    "unquoted": _fault("unquoted", symbol=ANY_SYMBOL, times=(1, 2)),
    "overfilled": _fault("overfill", symbol=ANY_SYMBOL, shares=("1",)),
    "split": _fault("split", symbol=SYMBOLS, new=("2", "3", "1", "1"), old=("1", "1", "2", "3"), orders=("cancel", "keep", "adjust")),
    "renamed": _fault("rename", symbol=SYMBOLS, new_symbol=("NEWA", "NEWB")),
    "spun off": _fault("spin_off", symbol=SYMBOLS, new_symbol=("SPUN",), rate=("0.25", "1")),
    "dividend in shares": _fault("reinvest", symbol=SYMBOLS, qty=("0.5", "0.013")),
    "bought by hand": _fault("hand_trade", symbol=SYMBOLS, side=("buy",), qty=("1", "7")),
    "sold by hand": _fault("hand_trade", symbol=SYMBOLS, side=("sell",), qty=("1", "2", "50")),
    "transfer": _fault("transfer", amount=("5000", "-30000", "-200")),
    "blocked": _fault("block"),
    "halted": _fault("halt", symbol=SYMBOLS),
    "delisted": _fault("delist", symbol=SYMBOLS),
    "stop leg dies": _fault("end_order", symbol=SYMBOLS, half=("stop",), status=("canceled", "rejected")),
    "order canceled by the broker": _fault("end_order", symbol=SYMBOLS, half=("both",)),
    "crash": _fault(
        "executor", point=(
            "read", "decided", "committed", "acked", "journaled", "post_sent", "post_answered", "recorded",
        ), nth=(1, 1, 2, 4), delay=(0.0, 0.5, 5.0),
    ),
    "gate crash": _fault("risk-gate", point=("read", "decided", "acked"), nth=(1, 2), delay=(0.0, 3.0)),
    "scheduler crash": _fault("scheduler", point=("decided", "committed"), nth=(1, 2), delay=(0.0, 3.0)),
    "commit lost": _fault("executor", point=("decided", "committed", "acked"), nth=(1, 2)),
    "kill": _fault("kill"),
    "resume": _fault("resume"),
    "broker away": _fault("away", seconds=(3.0, 20.0, 90.0)),
    "trade updates lost": _fault("mute", times=(20,)),
    "delivered again": _fault("again", stream=("orders", "schedule")),
}  # fmt: skip
INCIDENT_KINDS = tuple(_KINDS)
