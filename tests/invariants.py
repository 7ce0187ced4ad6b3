"""What must hold in every run, whatever went wrong.

I1 to I10, shared by all suites that break things.

Evidence is gathered from a broker, the streams and the services' states by each suite in its way;
the judgement is here. An empty list of violations is a sound run.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path

from services.auditor.evidence.verify import verify_folder
from shared.domain.trading import ids
from shared.schemas.envelope import Envelope
from shared.schemas.messages import Message, OrderApproved, OrderEnded
from shared.schemas.values import OrderStatus, Purpose, Side

MOST_PROTECTIONS = 400
"""Counters tried to trace a protection to its entry: more than any test makes one place."""
SOUND = frozenset({0, 10})
"""Exit codes of a chain that holds: with its key pinned, or by its own word."""
EXITS = frozenset({Purpose.TIME_EXIT, Purpose.SIGNAL_EXIT, Purpose.FLATTEN})


@dataclass(frozen=True, slots=True)
class Violation:
    """`invariant` is I1 to I10, or the name of a property of one suite."""

    invariant: str
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.detail}"


@dataclass(frozen=True, slots=True)
class OrderFact:
    """An order as the broker has it; `limit` is None for a stop."""

    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    limit: Decimal | None
    status: OrderStatus
    filled_qty: Decimal
    filled_notional: Decimal
    accepted_at: dt.datetime
    is_open: bool


@dataclass(frozen=True, slots=True)
class Approval:
    envelope: Envelope
    order: OrderApproved


@dataclass
class Evidence:
    """What one run left behind. `kills`: instants from which nothing may be opened, until resumed.

    `disputed` are symbols whose shares somebody else changed: there our books differ on purpose.
    """

    orders: list[OrderFact] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    executions: list[Message] = field(default_factory=list)
    our_positions: Mapping[str, int] = field(default_factory=dict)
    broker_positions: Mapping[str, Decimal] = field(default_factory=dict)
    gate_positions: Mapping[str, int] = field(default_factory=dict)
    reservations: int = 0
    daily_cap: Decimal = Decimal(1000)
    order_cap: Decimal = Decimal(75)
    kills: list[tuple[dt.datetime, dt.datetime | None]] = field(default_factory=list)
    kill_grace: dt.timedelta = dt.timedelta(milliseconds=250)
    disputed: frozenset[str] = frozenset()

    @property
    def ours(self) -> list[OrderFact]:
        return [each for each in self.orders if ids.is_ours(each.client_order_id)]

    @property
    def by_id(self) -> dict[str, OrderApproved]:
        return {each.order.client_order_id: each.order for each in self.approvals}


def check(evidence: Evidence, *, at_rest: bool = True) -> list[Violation]:
    """Every invariant that this evidence can decide; `at_rest` adds those that need calm."""
    checks = [one_order_per_intent, within_limits, nothing_opened_after_a_kill, every_order_traced]
    if at_rest:
        checks += [one_ending_each, positions_agree, nothing_reserved]
    return [violation for each in checks for violation in each(evidence)]


# --- I1 to I4: orders -----------------------------------------------------------------------------


def one_order_per_intent(evidence: Evidence) -> Iterator[Violation]:
    """I1: at most one accepted order for each id and each intent's attempt."""
    for name, count in Counter(each.client_order_id for each in evidence.ours).items():
        if count > 1:
            yield Violation("I1", f"{count} orders carry the id {name}")
    intents: dict[tuple[object, ...], set[str]] = defaultdict(set)
    accepted = {each.client_order_id for each in evidence.ours}
    for approval in evidence.approvals:
        order = approval.order
        if order.client_order_id in accepted:
            intents[
                approval.envelope.session,
                order.strategy,
                order.symbol,
                order.side,
                order.purpose,
                order.attempt,
            ].add(order.client_order_id)
    for intent, names in intents.items():
        if len(names) > 1:
            yield Violation("I1", f"{len(names)} orders for {intent}")


def within_limits(evidence: Evidence) -> Iterator[Violation]:
    """I2: filled and open buys of a session within the daily cap, each order within its own."""
    spent: dict[dt.date, Decimal] = defaultdict(Decimal)
    facts = {each.client_order_id: each for each in evidence.ours}
    for approval in evidence.approvals:
        order, fact = approval.order, facts.get(approval.order.client_order_id)
        if order.purpose is not Purpose.ENTRY or fact is None:
            continue
        if order.qty * order.limit_price > evidence.order_cap:
            yield Violation("I2", f"{order.symbol}: {order.qty} x {order.limit_price}")
        unfilled = (fact.qty - fact.filled_qty) * order.limit_price if fact.is_open else Decimal(0)
        spent[approval.envelope.session] += fact.filled_notional + unfilled
    for session, notional in spent.items():
        if notional > evidence.daily_cap:
            yield Violation("I2", f"{session}: {notional} of {evidence.daily_cap} dollars")


def nothing_opened_after_a_kill(evidence: Evidence) -> Iterator[Violation]:
    """I3: no order that opens anything is accepted between a kill and its resume."""
    entries = {name for name, each in evidence.by_id.items() if each.purpose is Purpose.ENTRY}
    for fact in evidence.ours:
        if fact.client_order_id not in entries:
            continue
        for killed_at, resumed_at in evidence.kills:
            late = fact.accepted_at > killed_at + evidence.kill_grace
            if late and (resumed_at is None or fact.accepted_at < resumed_at):
                yield Violation("I3", f"{fact.symbol} bought {fact.accepted_at - killed_at} late")


def every_order_traced(evidence: Evidence) -> Iterator[Violation]:
    """I4: each order of ours is an approval's, or protects what an approval bought."""
    approvals = evidence.by_id
    filled = {each.client_order_id: each.filled_qty for each in evidence.ours}
    for fact in evidence.ours:
        order = approvals.get(fact.client_order_id)
        if order:
            yield from _beyond_approval(fact, order)
            continue
        parent = next(
            (each for each in approvals.values() if _protects(fact.client_order_id, each)), None
        )
        if parent is None:
            yield Violation("I4", f"{fact.symbol} {fact.side} {fact.qty}: nobody approved it")
        elif fact.side is parent.side:
            yield Violation("I4", f"{fact.symbol}: a protection that {fact.side}s")
        elif fact.symbol not in evidence.disputed and fact.qty > filled.get(
            parent.client_order_id, 0
        ):
            yield Violation("I4", f"{fact.symbol}: {fact.qty} shares protected, fewer bought")


def _beyond_approval(fact: OrderFact, order: OrderApproved) -> Iterator[Violation]:
    if (fact.symbol, fact.side) != (order.symbol, order.side):
        yield Violation(
            "I4", f"approved {order.side} {order.symbol}, sent {fact.side} {fact.symbol}"
        )
    if fact.qty > order.qty:
        yield Violation("I4", f"{order.symbol}: {order.qty} shares approved, {fact.qty} sent")
    dearer = fact.limit is not None and (
        fact.limit > order.limit_price if order.side is Side.BUY else fact.limit < order.limit_price
    )
    if dearer:
        yield Violation(
            "I4", f"{order.symbol}: limit {order.limit_price} approved, {fact.limit} sent"
        )


def _protects(client_order_id: str, order: OrderApproved) -> bool:
    return order.purpose is Purpose.ENTRY and client_order_id in _protections(order.client_order_id)


@cache
def _protections(parent: str) -> frozenset[str]:
    return frozenset(
        ids.client_order_id(ids.protection_digest(parent, counter))
        for counter in range(1, MOST_PROTECTIONS + 1)
    )


# --- I5 to I9: at rest ----------------------------------------------------------------------------


def one_ending_each(evidence: Evidence) -> Iterator[Violation]:
    """I5: every approval has exactly one terminal event."""
    endings = Counter(
        each.client_order_id for each in evidence.executions if isinstance(each, OrderEnded)
    )
    for name, order in evidence.by_id.items():
        if endings[name] != 1:
            yield Violation(
                "I5", f"{order.symbol} {order.purpose} ({name}) ended {endings[name]} times"
            )


def positions_agree(evidence: Evidence) -> Iterator[Violation]:
    """I7: our books, the gate's and the broker's hold the same, where nobody else has traded."""
    symbols = {*evidence.our_positions, *evidence.gate_positions, *evidence.broker_positions}
    for symbol in sorted(symbols - evidence.disputed):
        ours = evidence.our_positions.get(symbol, 0)
        theirs = evidence.broker_positions.get(symbol, Decimal(0))
        if ours != theirs:
            yield Violation("I7", f"{symbol}: ours {ours}, the broker's {theirs}")
        gates = evidence.gate_positions.get(symbol, 0)
        if gates != ours:
            yield Violation("I7", f"{symbol}: the gate's {gates}, the executor's {ours}")


def nothing_reserved(evidence: Evidence) -> Iterator[Violation]:
    """I9: at rest no reservation is outstanding."""
    if evidence.reservations:
        yield Violation("I9", f"{evidence.reservations} reservations are never released")


def chain_holds(folder: Path) -> list[Violation]:
    """I6: the audit chain verifies, but for the pin of its key, which a test does not have."""
    verdict = verify_folder(folder)
    return [] if verdict.exit_code in SOUND else [Violation("I6", verdict.sentence)]


def no_secret_in(texts: Iterable[tuple[str, str]], secrets: Iterable[str]) -> list[Violation]:
    """I8: no secret's characters in any text; `texts` are (where, what)."""
    canaries = [each for each in secrets if each]
    return [
        Violation("I8", f"a secret in {where}")
        for where, text in texts
        if any(each in text for each in canaries)
    ]
