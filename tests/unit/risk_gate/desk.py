"""A gate without a bus: messages in, messages out; and an executor that does what a test says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from services.risk_gate.handlers import HANDLERS
from services.risk_gate.state import GateSettings, State
from shared.domain.risk.sizing import Sizing, SizingMethod
from shared.rules import registry
from shared.runtime.runner.contract import Context, Outgoing, Trigger
from shared.runtime.runner.state_codec import changes, state_from
from shared.schemas import messages as m
from shared.schemas.streams import STREAM_OF, Stream
from shared.schemas.values import (
    Direction,
    Ending,
    Exit,
    Mode,
    Phase,
    Purpose,
    Quote,
    ScanRef,
    Signal,
    Slot,
    Stage,
)
from tests.builders import SESSION, envelope, scan_ref
from tests.unit.rules.cases import YESTERDAY

D = Decimal
LOOSE: dict[str, dict[str, Any]] = {
    "order_rate": {"per_minute": 10**6},
    "max_positions": {"maximum": 10**6},
    "gross_exposure": {"maximum": "100000000"},
}
UNIVERSE = (
    *("AAPL", "IBM", "MSFT", "GE", "NOASK", "NOBID", "CROSSED", *"ABCDEF"),
    *(f"S{number}" for number in range(1000)),
    *(f"S{number:03}" for number in range(1000)),
    *(f"S{number:04}" for number in range(2000)),
)
"""The symbols that tests may enter."""
RETRY_AT = dt.datetime(2024, 1, 5, 15, 30, tzinfo=dt.UTC)
LATER_AT = dt.datetime(2024, 1, 5, 16, 30, tzinfo=dt.UTC)
CLOSE_AT = dt.datetime(2024, 1, 5, 20, 55, tzinfo=dt.UTC)


def gate_settings(tables: dict[str, dict[str, Any]] | None = None, **changes: Any) -> GateSettings:
    """$75 an order; all limits are the defaults but for those in `tables`."""
    values: dict[str, Any] = {
        "mode": Mode.SIM,
        "account": "sim",
        "config_pin": "pin",
        "rules": registry.load(tables or {}),
        "sizing": Sizing(SizingMethod.BUDGET, D(75)),
        "rank": ("donchian", "turtle_soup"),
        "replay": True,
        "universe": UNIVERSE,
    }
    return GateSettings(**{**values, **changes})


def scan_at(slot_at: dt.datetime, slot: Slot = Slot.RETRY, **changes: Any) -> ScanRef:
    return scan_ref(id=f"SCAN_20240105_{slot_at:%H%M%S}", slot=slot, slot_at=slot_at, **changes)


def signal(symbol: str = "AAPL", **changes: Any) -> Signal:
    values: dict[str, Any] = {
        "session": YESTERDAY,
        "symbol": symbol,
        "strategy": "donchian",
        "direction": Direction.LONG,
        "reference_price": D("10.00"),
        "stop": D("9.00"),
        "target": D("12.50"),
        "time_stop_bars": 20,
        "score": D("0.5"),
        "reason": "breakout",
    }
    return Signal(**{**values, **changes})


def leave(symbol: str, purpose: Purpose = Purpose.TIME_EXIT) -> Exit:
    return Exit(
        symbol=symbol,
        strategy="donchian",
        direction=Direction.LONG,
        purpose=purpose,
        entry_session=YESTERDAY,
        bars_held=20,
    )


@dataclass
class Desk:
    """`hear` runs one handler; `restarting`: the state goes through its stored form each time."""

    settings: GateSettings = field(default_factory=gate_settings)
    state: State = field(default_factory=State)
    halted: tuple[str, ...] = ()
    restarting: bool = False
    at: dt.datetime = field(default=dt.datetime(2024, 1, 5, 14, 35, 1, tzinfo=dt.UTC))
    seq: int = 0
    said: list[Outgoing] = field(default_factory=list)

    def hear(self, message: m.Message, **changes: Any) -> list[m.Message]:
        self.seq += STREAM_OF[type(message)] is Stream.EXECUTIONS
        sealed = envelope(message, **{"at": self.at, "seq": self.seq, **changes})
        trigger = Trigger(sealed.id, sealed.at, sealed.session, "other", sealed)
        context = Context(self.settings, trigger, self.halted)
        self.state, said = HANDLERS[type(message)](self.state, message, context)
        if self.restarting:
            self.state = state_from(State(), changes_of(self.state))
        self.said += [
            word if isinstance(word, Outgoing) else Outgoing(word, SESSION, "") for word in said
        ]
        return [word.message if isinstance(word, Outgoing) else word for word in said]

    def open(self, session: dt.date = SESSION, cash: str = "100000") -> Desk:
        self.hear(
            m.SessionOpened(session=session, previous=None, opens_at=self.at, closes_at=self.at),
            session=session,
        )
        self.account(cash)
        return self

    def account(self, cash: str = "100000", **changes: Any) -> list[m.Message]:
        return self.hear(account_seen(cash, **changes))

    def due(self, ref: ScanRef | None = None) -> ScanRef:
        ref = ref or scan_ref()
        self.hear(m.ScanDue(scan=ref), session=ref.session)
        return ref

    def scan(
        self,
        signals: Sequence[Signal] = (),
        exits: Sequence[Exit] = (),
        *,
        ref: ScanRef | None = None,
        price: str = "10.00",
        unquoted: Iterable[str] = (),
        quotes: Sequence[Quote] | None = None,
        aborted: str = "",
    ) -> list[m.Message]:
        """A whole scan, every symbol quoted at `price` (bid a cent below) unless said otherwise."""
        ref = self.due(ref)
        without = set(unquoted)
        symbols = dict.fromkeys(
            [*(each.symbol for each in exits), *(each.symbol for each in signals)]
        )
        if quotes is None:
            quotes = [quote_of(symbol, ref, price) for symbol in symbols if symbol not in without]
        return self.hear(completed(ref, signals, exits, aborted)) + self.hear(
            m.QuotesSeen(scan=ref, part=1, parts=1, quotes=tuple(quotes), unquoted=tuple(without))
        )

    def fill(
        self, order: m.OrderApproved, qty: int | None = None, price: str = "10.00"
    ) -> list[m.Message]:
        done = order.qty if qty is None else qty
        filled = m.OrderFilled(
            client_order_id=order.client_order_id,
            decision_id=order.decision_id,
            strategy=order.strategy,
            symbol=order.symbol,
            side=order.side,
            purpose=order.purpose,
            session=SESSION,
            qty=done,
            price=D(price),
            cumulative_qty=done,
            time_stop_bars=20,
            stop=D(9),
            filled_at=self.at,
        )
        return self.hear(filled) if done else []

    def end(
        self, order: m.OrderApproved, ending: Ending = Ending.CANCELED, filled: int = 0
    ) -> list[m.Message]:
        return self.hear(
            m.OrderEnded(
                client_order_id=order.client_order_id,
                decision_id=order.decision_id,
                strategy=order.strategy,
                symbol=order.symbol,
                side=order.side,
                purpose=order.purpose,
                ending=ending,
                filled_qty=filled,
                average_price=D(10) if filled else None,
            )
        )

    def executed(self, decided: m.ScanDecided) -> list[m.Message]:
        return self.hear(
            m.ScanExecuted(
                scan_id=decided.scan_id, slot=decided.slot, phase=decided.phase, final=decided.final
            )
        )

    def execute(
        self, said: Sequence[m.Message], *, filling: bool = True, price: str = "10.00"
    ) -> list[m.Message]:
        """Carry out a phase: all approved is filled (or nothing), ended, the phase executed."""
        for order in approved(said):
            if filling:
                self.fill(order, price=price)
            ending = Ending.FILLED if filling else Ending.CANCELED
            self.end(order, ending, order.qty if filling else 0)
        return self.executed(decided(said))

    def hold(self, *symbols: str, qty: int = 5) -> Desk:
        for symbol in symbols:
            self.hear(
                m.PositionAdjusted(
                    symbol=symbol, strategy="donchian", qty=qty, price=D(10), why="from before"
                ),
                session=YESTERDAY,
            )
        return self


def changes_of(state: State) -> dict[str, str]:
    return changes(State(), state)[0]


def account_seen(cash: str | Decimal = "100000", **changes: Any) -> m.AccountSeen:
    values: dict[str, Any] = {
        "session": SESSION,
        "stage": Stage.OPEN,
        "account_number": "1",
        "cash": D(cash),
        "equity": D(cash),
        "buying_power": D(cash),
        "blocked": False,
        "open_orders": 0,
        "holdings": (),
        "drift": (),
    }
    return m.AccountSeen(**{**values, **changes})


def completed(
    ref: ScanRef,
    signals: Sequence[Signal],
    exits: Sequence[Exit] = (),
    aborted: str = "",
    *,
    part: int = 1,
    of: int = 1,
) -> m.ScanCompleted:
    return m.ScanCompleted(
        scan=ref,
        part=part,
        parts=of,
        exits=tuple(exits),
        signals=tuple(signals),
        bars_digest="digest",
        aborted=aborted,
    )


def quote_of(symbol: str, ref: ScanRef, price: str = "10.00") -> Quote:
    return Quote(symbol=symbol, bid=D(price) - D("0.01"), ask=D(price), at=ref.slot_at)


def approved(said: Iterable[m.Message]) -> list[m.OrderApproved]:
    return [message for message in said if isinstance(message, m.OrderApproved)]


def denied(said: Iterable[m.Message]) -> dict[str, tuple[str, ...]]:
    """Symbol -> reasons."""
    return {
        message.symbol: tuple(reason.value for reason in message.reasons)
        for message in said
        if isinstance(message, m.OrderDenied)
    }


def decided(said: Iterable[m.Message]) -> m.ScanDecided:
    (found,) = [message for message in said if isinstance(message, m.ScanDecided)]
    return found


def summary(said: Iterable[m.Message]) -> tuple[Phase, int, int, bool]:
    found = decided(said)
    return found.phase, found.approved, found.denied, found.final
