"""Watches a simulated run: what must hold at every instant, and what must hold at its end."""

from __future__ import annotations

import datetime as dt
import traceback
from collections import defaultdict, deque
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING, Any

from services.sim_broker.exchange import world_events as events
from services.sim_broker.exchange.order import BrokerOrder, OrderType
from shared.domain.trading.ids import is_ours
from shared.schemas import messages as m
from shared.schemas.envelope import from_fields
from shared.schemas.streams import ServiceName, Stream
from shared.schemas.values import Side, Stage
from tests import invariants
from tests.invariants import Approval, Evidence, OrderFact, Violation

if TYPE_CHECKING:
    from tests.simulate.hosts import Host
    from tests.simulate.world import World

S = ServiceName
BARE_SECONDS = 5.0
"""How long a share of ours may be without a living stop while nothing stands in the way."""
SETTLING_SECONDS = 15.0
"""After the last trouble, until its consequences must be mended: the look-ups' longest pauses."""
RESTART_SECONDS = 3.0
WINDOW, MOST_REQUESTS = 600.0, 400
"""Ten minutes: a busy scan needs a tenth, a loop without pauses several times as many."""
FOREVER = 3600.0
UNCLEAR = frozenset({"no answer", 408, 500, 502, 503, 504})
"""Results of a POST behind which an order may stand."""


class Watch:
    def __init__(self, world: World) -> None:
        self._world = world
        self.violations: list[Violation] = []
        self._own: dict[str, Decimal] = defaultdict(Decimal)
        self._bare_since: dict[str, float] = {}
        self._troubled_at = 0.0
        self._faults: list[str] = []
        self._kills: list[tuple[dt.datetime, dt.datetime | None]] = []
        self._disputed: set[str] = set()
        self._requests: deque[tuple[float, int]] = deque()
        self._crashed = False
        self._approvals: list[Approval] = []
        self._orders_read = 0
        self._filled: dict[str, Decimal] = {}
        self._schedule_read = 0
        self._opened: list[dt.date] = []

    @property
    def is_over(self) -> bool:
        """The first violation is enough."""
        return bool(self.violations)

    def note(self, invariant: str, detail: str) -> None:
        self.violations.append(Violation(invariant, detail))

    def note_failure(self, host: Host, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)[-1:]
        where = f"{frames[0].filename.rsplit('/', 1)[-1]}:{frames[0].lineno}" if frames else "?"
        self.note("RAISED", f"{host.name}: {type(error).__name__}: {error} ({where})")

    # --- what the world reports -------------------------------------------------------------------

    def _now(self) -> float:
        return self._world.clock.monotonic()

    def _trouble(self) -> None:
        self._troubled_at = self._now()

    def on_fault(self, fault: Any, *, refused: bool) -> None:
        self._trouble()
        if refused:
            return
        if isinstance(fault, events.HandTradeEvent | events.ReinvestEvent | events.DelistEvent):
            self._disputed.add(fault.symbol)
        if isinstance(fault, events.RenameEvent | events.SpinOffEvent):
            self._disputed |= {fault.symbol, fault.new_symbol}
        if isinstance(fault, events.SplitEvent):
            self._disputed.add(fault.symbol)

    def on_crash(self, name: ServiceName, delay: float) -> None:
        self._crashed = True
        self._troubled_at = self._now() + delay + RESTART_SECONDS

    def on_away(self, is_away: bool) -> None:
        self._trouble()

    def on_kill(self) -> None:
        self._trouble()
        self._kills.append((self._world.clock.now(), None))

    def on_resume(self) -> None:
        now = self._world.clock.now()
        self._kills = [(since, until or now) for since, until in self._kills]

    def on_calm(self) -> None:
        self._trouble()

    def on_stage(self, stage: Stage) -> None:
        """Splits and renames of the morning change what our own shares are."""
        if stage is Stage.START:
            account = self._world.simulator.exchange.book.account
            for event in account.announced:
                if event.session == account.session:
                    self._follow(event)

    def _follow(self, event: events.CorporateEvent) -> None:
        self._trouble()
        if isinstance(event, events.SplitEvent):
            shares = self._own[event.symbol] * event.new / event.old
            self._own[event.symbol] = shares.to_integral_value(ROUND_DOWN)
        elif isinstance(event, events.RenameEvent):
            self._own[event.new_symbol] += self._own.pop(event.symbol, Decimal(0))
        elif isinstance(event, events.DelistEvent):
            self._own.pop(event.symbol, None)

    def _count_fills(self) -> None:
        """Follow what our orders have filled since the last look."""
        for order in self._world.simulator.exchange.book.orders.values():
            if order.filled_qty > order.qty:
                self._disputed.add(order.symbol)
            filled = min(order.filled_qty, order.qty)
            more = filled - self._filled.get(order.id, Decimal(0))
            if not more or not self._is_ours(order):
                continue
            self._filled[order.id] = filled
            self._own[order.symbol] += more if order.side is Side.BUY else -more
            if self._own[order.symbol] < 0:
                self.note("OWN", f"{order.symbol}: sold {-self._own[order.symbol]} of others")

    def _is_ours(self, order: BrokerOrder) -> bool:
        parent = self._world.simulator.exchange.book.orders.get(order.parent_id)
        return is_ours((parent or order).client_order_id)

    # --- at every instant -------------------------------------------------------------------------

    def look(self) -> None:
        self._count_fills()
        self._look_at_requests()
        self._look_at_posts()
        self._look_at_sessions()
        self._look_at_faults()
        self._look_for_bare_shares()
        for violation in invariants.check(self._evidence(), at_rest=False):
            self.violations.append(violation)

    def wait(self) -> float:
        """Until a bare share would be one for too long."""
        waits = [
            max(since, self._settled_at) + BARE_SECONDS - self._now()
            for since in self._bare_since.values()
        ]
        return max(0.01, min([FOREVER, *waits]))

    @property
    def _settled_at(self) -> float:
        return self._troubled_at + SETTLING_SECONDS

    def _look_at_requests(self) -> None:
        self._requests.append((self._now(), self._world.http.requests))
        while self._requests[0][0] < self._now() - WINDOW:
            self._requests.popleft()
        made = self._requests[-1][1] - self._requests[0][1]
        if made > MOST_REQUESTS:
            self.note("BUSY", f"{made} requests within ten minutes")

    def _look_at_posts(self) -> None:
        """An entry whose POST may have arrived is never sent again."""
        for name, results in self._world.http.posts.items():
            unclear = [place for place, result in enumerate(results) if result in UNCLEAR]
            again = unclear and unclear[0] < len(results) - 1
            if again and any(name == each.order.client_order_id for each in self._approvals):
                self.note("REPOST", f"{name} was sent again after {results}")

    def _look_at_sessions(self) -> None:
        """Each session is opened once, and in order."""
        entries = self._world.server.stream(Stream.SCHEDULE.key).entries
        for _, fields in entries[self._schedule_read :]:
            message = from_fields(fields)[1]
            if not isinstance(message, m.SessionOpened):
                continue
            if self._opened and message.session <= self._opened[-1]:
                if not self._world.has_repeated:
                    self.note("ORDER", f"{message.session} opened after {self._opened[-1]}")
            else:
                self._opened.append(message.session)
        self._schedule_read = len(entries)

    def _look_at_faults(self) -> None:
        """A fault that was met, or still waits to be, is trouble."""
        faults = [repr(each) for each in self._world.simulator.faults.scheduled.values()]
        if faults != self._faults:
            self._faults = faults
            self._trouble()

    def _look_for_bare_shares(self) -> None:
        simulator = self._world.simulator
        book, now = simulator.exchange.book, self._now()
        stands_in_the_way = (
            not book.account.is_open
            or book.account.blocked
            or self._world.http.is_away
            or not self._world.hosts[S.EXECUTOR].is_up
            or bool(simulator.faults.scheduled)
        )
        for symbol, own in self._own.items():
            held = max(min(own, book.shares(symbol)), Decimal(0))
            bare = held - self._covered(symbol)
            if bare <= 0 or stands_in_the_way or simulator.exchange.price(symbol) is None:
                self._bare_since.pop(symbol, None)
                continue
            since = max(self._bare_since.setdefault(symbol, now), self._settled_at)
            if now - since > BARE_SECONDS:
                self.note("BARE", f"{symbol}: {bare} of {own} shares for {now - since:.0f} s")

    def _covered(self, symbol: str) -> Decimal:
        """Shares that a living stop of ours would sell."""
        orders = self._world.simulator.exchange.book.all_open()
        return sum(
            (
                each.remaining
                for each in orders
                if each.symbol == symbol
                and each.side is Side.SELL
                and each.type is OrderType.STOP
                and self._is_ours(each)
            ),
            Decimal(0),
        )

    # --- at rest ----------------------------------------------------------------------------------

    def look_at_rest(self) -> None:
        for name, host in self._world.hosts.items():
            if not host.is_up:
                self.note("DOWN", f"{name} is not up at the end")
        if self.is_over:
            return
        evidence = self._evidence(at_rest=True)
        self.violations += invariants.check(evidence)
        self._look_for_the_probe(evidence)

    def _look_for_the_probe(self, evidence: Evidence) -> None:
        """I10: after healing a fresh good signal is executed."""
        if not any(each.symbol == "PROBE" and each.filled_qty for each in evidence.ours):
            self.note("I10", f"the probe was not bought: {self._reasons()}")

    def _reasons(self) -> str:
        denials = [
            message
            for message in self._messages(Stream.ORDERS)
            if isinstance(message, m.OrderDenied) and message.symbol == "PROBE"
        ]
        if denials:
            return f"denied for {', '.join(denials[-1].reasons)}"
        ended = [
            each
            for each in self._messages(Stream.EXECUTIONS)
            if isinstance(each, m.OrderEnded) and each.symbol == "PROBE"
        ]
        return (
            f"it ended {ended[-1].ending}: {ended[-1].detail}" if ended else "it was never decided"
        )

    def _messages(self, stream: Stream) -> list[m.Message]:
        entries = self._world.server.stream(stream.key).entries
        return [from_fields(fields)[1] for _, fields in entries]

    def _evidence(self, *, at_rest: bool = False) -> Evidence:
        book = self._world.simulator.exchange.book
        evidence = Evidence(
            orders=[_fact(each) for each in book.orders.values()],
            approvals=self._read_approvals(),
            kills=self._kills,
            kill_grace=dt.timedelta(0),
            disputed=frozenset(self._disputed),
        )
        if not at_rest:
            return evidence
        executor, gate = self._world.hosts[S.EXECUTOR].state, self._world.hosts[S.RISK_GATE].state
        evidence.executions = self._messages(Stream.EXECUTIONS)
        evidence.our_positions = {name: each.qty for name, each in executor.positions.items()}
        evidence.gate_positions = {
            name: each.signed_qty for name, each in gate.book.positions.items()
        }
        evidence.broker_positions = {name: each.qty for name, each in book.positions.items()}
        evidence.reservations = len(gate.book.reservations)
        return evidence

    def _read_approvals(self) -> list[Approval]:
        """Each once, however often its message was delivered."""
        entries = self._world.server.stream(Stream.ORDERS.key).entries
        known = {each.order.client_order_id for each in self._approvals}
        for _, fields in entries[self._orders_read :]:
            envelope, message = from_fields(fields)
            if isinstance(message, m.OrderApproved) and message.client_order_id not in known:
                self._approvals.append(Approval(envelope, message))
                known.add(message.client_order_id)
        self._orders_read = len(entries)
        return self._approvals


def _fact(order: BrokerOrder) -> OrderFact:
    return OrderFact(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        qty=order.qty,
        limit=order.limit_price if order.time_in_force.value == "ioc" else None,
        status=order.status,
        filled_qty=order.filled_qty,
        filled_notional=order.filled_notional,
        accepted_at=order.submitted_at,
        is_open=order.is_open,
    )
