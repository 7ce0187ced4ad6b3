"""All the executor believes, and the small steps by which handlers change it. Pure."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

from msgspec.structs import replace

from services.executor.brokers.protocol import AccountView
from services.executor.orders.judgement import CorporateAction, PositionStanding
from shared.domain.trading.ledger import HeldLots
from shared.domain.trading.orders import Order
from shared.domain.trading.protection import covers, is_protected
from shared.runtime.runner.contract import Context
from shared.schemas.values import Mode, Phase, Purpose, Slot, Stage, Value

EXITS = frozenset({Purpose.TIME_EXIT, Purpose.SIGNAL_EXIT, Purpose.FLATTEN})


class ExecutorSettings(Value, frozen=True, kw_only=True):
    """The numbers of [executor] and who we are.

    `replay`: the broker's clock is not the wall's. `stepped`: it stands still between two steps, so
    that a second look need not wait.
    """

    mode: Mode
    account: str
    config_pin: str
    replay: bool = False
    stepped: bool = False
    ambiguous_in_a_row: int = 5
    unknown_seconds: int = 60
    drift_seconds: int = 30
    flatten_on_kill: bool = False


ExecutorContext = Context[ExecutorSettings]


class OpenScan(Value, frozen=True, kw_only=True):
    """A phase the gate has decided; `executed` once all its orders are terminal and protected."""

    scan_id: str
    slot: Slot
    phase: Phase
    approved: int
    final: bool
    session: dt.date
    correlation_id: str
    executed: bool = False


class ReconcileRequest(Value, frozen=True, kw_only=True):
    session: dt.date
    stage: Stage
    correlation_id: str = ""
    causation_id: str = ""


class PositionDrift(Value, frozen=True, kw_only=True):
    """A symbol on which broker and books differ, not believed yet: a second look comes at `due_at`.

    `looks` counts how often it has been seen, `theirs` is what the broker said last.
    """

    theirs: Decimal
    due_at: dt.datetime
    looks: int = 1


class Dispute(Value, frozen=True, kw_only=True):
    """A difference seen twice that only the operator settles; our stop stays meanwhile.

    `theirs` and `price` are the broker's; `foreign` the net shares that others traded.
    """

    standing: PositionStanding
    ours: int
    theirs: Decimal
    price: Decimal | None
    why: str
    since: dt.datetime
    foreign: Decimal = Decimal(0)


class StrayOrder(Value, frozen=True, kw_only=True):
    """An order under our name that we do not follow; seen a second time it halts, once."""

    due_at: dt.datetime
    alarmed: bool = False


class FlattenProgress(Value, frozen=True, kw_only=True):
    """Positions being sold after a kill; `reported`: they were found still held after a while."""

    symbols: tuple[str, ...]
    since: dt.datetime
    look_at: dt.datetime
    looks: int = 0
    reported: bool = False


class State(Value, frozen=True, kw_only=True):
    """What the executor believes; written to Redis field by field.

    `revision` grows with every change, so that the older of two copies shows.
    `orders` by client_order_id: the live ones and this session's ended ones. `positions` by symbol.
    `sent` counts orders that went to the broker, ever; `ambiguous` those unknown in a row; `halts`
    and `repeats` are pending: halts to latch, repeated approvals to log. `cursor`: broker orders
    submitted before it are settled.

    `external` are shares that are not ours, by symbol; `accepted` those the operator knows of in a
    symbol we hold. `unreadable` names rows of the broker's that made no sense. `actions` are the
    corporate actions announced for what is held, by key. `failures` counts reconciliations in a row
    that found no answer, until `retry_at`.
    """

    revision: int = 0
    session: dt.date | None = None
    stage: Stage = Stage.START
    orders: dict[str, Order] = {}
    positions: dict[str, HeldLots] = {}
    scans: dict[str, OpenScan] = {}
    reconciles: tuple[ReconcileRequest, ...] = ()
    repeats: tuple[str, ...] = ()
    halts: tuple[str, ...] = ()
    drifts: dict[str, PositionDrift] = {}
    disputes: dict[str, Dispute] = {}
    strays: dict[str, StrayOrder] = {}
    external: dict[str, Decimal] = {}
    accepted: dict[str, Decimal] = {}
    unreadable: tuple[str, ...] = ()
    actions: dict[str, CorporateAction] = {}
    flatten: FlattenProgress | None = None
    account: AccountView | None = None
    checked_at: dt.datetime | None = None
    cursor: dt.datetime | None = None
    retry_at: dt.datetime | None = None
    failures: int = 0
    foreign_orders: int = 0
    sent: int = 0
    ambiguous: int = 0
    realised: Decimal = Decimal(0)


def with_order(state: State, order: Order) -> State:
    return replace(state, orders={**state.orders, order.client_order_id: order})


def without_order(state: State, client_order_id: str) -> State:
    kept = {key: order for key, order in state.orders.items() if key != client_order_id}
    return replace(state, orders=kept)


def with_position(state: State, symbol: str, position: HeldLots | None) -> State:
    """None: nothing is held any more."""
    kept = {key: held for key, held in state.positions.items() if key != symbol}
    return replace(state, positions={**kept, symbol: position} if position else kept)


def with_halt(state: State, why: str) -> State:
    return state if why in state.halts else replace(state, halts=(*state.halts, why))


def live_orders(state: State, symbol: str, purposes: Iterable[Purpose]) -> list[Order]:
    wanted = frozenset(purposes)
    return [
        order
        for order in state.orders.values()
        if order.live and order.symbol == symbol and order.purpose in wanted
    ]


def protection_of(state: State, symbol: str) -> Order | None:
    """The one live protection of a symbol, sent or waiting to be."""
    found = live_orders(state, symbol, (Purpose.PROTECT,))
    return found[0] if found else None


def exit_of(state: State, symbol: str) -> Order | None:
    found = live_orders(state, symbol, EXITS)
    return found[0] if found else None


def uncovered_symbols(state: State) -> list[str]:
    """Symbols held without a living stop at the broker for all of it, wherever the market is."""
    resting = _resting_protections(state)
    return [
        symbol
        for symbol, held in state.positions.items()
        if not any(covers(order, held) for order in resting.get(symbol, ()))
    ]


def unprotected_symbols(state: State) -> list[str]:
    """Symbols without their stop, by the broker's word on shares and orders.

    Shares that the broker holds beyond ours count until the operator says whose they are.
    """
    resting = _resting_protections(state)
    bare = {
        symbol
        for symbol, held in state.positions.items()
        if not is_protected(held, resting.get(symbol, ()))
    }
    return sorted({*bare, *state.drifts, *state.disputes})


def _resting_protections(state: State) -> dict[str, list[Order]]:
    """By symbol, in one pass: thousands of orders may be in flight beside hundreds of positions."""
    found: dict[str, list[Order]] = {}
    for order in state.orders.values():
        if order.purpose is Purpose.PROTECT and order.rests:
            found.setdefault(order.symbol, []).append(order)
    return found
