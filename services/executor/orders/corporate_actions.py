"""Splits, renames, removals and spin-offs of what is held, followed by the official numbers. Pure.

Announcements come from the data vendor before every open and from the broker with its positions.
The stop follows at once where the old price would sell by mistake; shares follow when the broker
shows them. Each is recorded by a message of its own that preserves what the position is worth.
"""

import datetime as dt
from collections.abc import Iterable
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from msgspec.structs import replace

from services.executor.orders.judgement import ActionKind, CorporateAction, Judgement
from services.executor.orders.state import State, with_position
from shared.domain.trading import ledger
from shared.domain.trading.ledger import HeldLots
from shared.schemas import messages as m
from shared.schemas.values import Protection, Purpose

CENT = Decimal("0.01")
REMEMBERED = dt.timedelta(days=10)
"""Announcements are kept so long after their date: a broker may be days late to follow one."""
STOP_MOVED = "stop/"
"""What marks that the stop has followed a split, and the shares have not."""
Messages = tuple[m.Message, ...]


def remember(state: State, found: Iterable[CorporateAction], session: dt.date) -> State:
    """Keep what is announced; what is long past is dropped."""
    fresh = {each.key: each for each in found}
    kept = {key: each for key, each in state.actions.items() if session - each.date <= REMEMBERED}
    actions = {**kept, **fresh}
    return state if actions == state.actions else replace(state, actions=actions)


def pending(state: State, held: HeldLots, session: dt.date) -> list[CorporateAction]:
    """Actions of a symbol that are effective and not followed yet, oldest first.

    What became effective before the position was opened is in its price already.
    """
    opened = held.lots[0].session
    due = [
        each
        for each in state.actions.values()
        if each.symbol == held.symbol
        and opened < each.date <= session
        and each.key not in held.applied
    ]
    return sorted(due, key=lambda each: (each.date, each.kind))


def has_action_on(state: State, symbol: str, session: dt.date) -> bool:
    """Whether the symbol's prices change their scale or name today: entries wait a session."""
    return any(
        each.date == session and symbol in (each.symbol, each.new_symbol)
        for each in state.actions.values()
    )


def move_stops(state: State, session: dt.date) -> State:
    """Before the open: where the old stop would sell at the new price, the stop follows first."""
    for symbol, held in state.positions.items():
        moved = held
        for action in pending(state, held, session):
            mark = STOP_MOVED + action.key
            harmful = (action.ratio > 1) is (held.qty > 0)
            if action.kind is ActionKind.SPLIT and harmful and mark not in held.applied:
                moved = _scale_plan(moved, action.ratio, mark)
        if moved is not held:
            state = with_position(state, symbol, moved)
    return state


def split(
    state: State, symbol: str, action: CorporateAction, theirs: Decimal
) -> tuple[State, Messages]:
    """The broker shows the shares after a split: lots and stop follow by the official ratio.

    A fraction that it still shows is not ours, and known: it is paid in cash.
    """
    held = state.positions[symbol]
    before = held
    if STOP_MOVED + action.key not in held.applied:
        held = _scale_plan(held, action.ratio, STOP_MOVED + action.key)
    lots = ledger.rescale(held.lots, action.ratio)
    after = replace(
        held,
        lots=lots,
        applied=(*held.applied, action.key),
        blocked="",
        setbacks=0,
        form=None,
        exit_reason="",
    )
    state = with_position(state, symbol, after if lots else None)
    exact = before.qty * action.ratio
    qty = sum(lot.qty for lot in lots)
    if theirs != qty:
        state = replace(state, accepted={**state.accepted, symbol: theirs - qty})
    message = m.PositionRescaled(
        symbol=symbol,
        strategy=before.strategy,
        new=action.new,
        old=action.old,
        qty_before=before.qty,
        qty=qty,
        fraction=exact - qty,
        stop=after.protection.stop if after.protection and lots else None,
    )
    return state, (message,)


def _scale_plan(held: HeldLots, ratio: Decimal, mark: str) -> HeldLots:
    """Stop and target in the new price, rounded to the cent away from the market."""
    plan = held.protection
    if plan is None:
        return replace(held, applied=(*held.applied, mark))
    down, up = (ROUND_DOWN, ROUND_UP) if held.qty > 0 else (ROUND_UP, ROUND_DOWN)
    scaled = Protection(
        stop=(plan.stop / ratio).quantize(CENT, down),
        target=None if plan.target is None else (plan.target / ratio).quantize(CENT, up),
        time_stop_bars=plan.time_stop_bars,
    )
    price = held.price / ratio if held.price is not None else None
    closing = held.mark / ratio if held.mark is not None else None
    return replace(
        held, protection=scaled, price=price, mark=closing, applied=(*held.applied, mark)
    )


def rename(state: State, symbol: str, judgement: Judgement) -> tuple[State, Messages]:
    """The share has another symbol: the position moves there, and is protected there anew."""
    held, new = state.positions[symbol], judgement.new_symbol
    key = (judgement.action.key,) if judgement.action else ()
    moved = replace(held, symbol=new, applied=(*held.applied, *key), blocked="", setbacks=0)
    state = with_position(with_position(state, symbol, None), new, moved)
    orders = {
        name: replace(order, symbol=new, former_symbol=symbol)
        if order.live and order.symbol == symbol and order.purpose is Purpose.PROTECT
        else order
        for name, order in state.orders.items()
    }
    message = m.PositionRenamed(symbol=symbol, new_symbol=new, strategy=held.strategy, qty=held.qty)
    return replace(state, orders=orders), (message,)
