"""Books moved to the broker's without a fill: what was adopted, what the operator decided. Pure.

Called by the reconciliation, and by the handlers of `kobe adopt`, `release` and `acknowledge`.
"""

from decimal import Decimal

from msgspec.structs import replace

from services.executor.orders.judgement import PositionStanding
from services.executor.orders.state import Dispute, State, with_position
from shared.domain.trading import ledger
from shared.domain.trading.ledger import HeldLots
from shared.schemas import messages as m

Messages = tuple[m.Message, ...]


def adopt(
    state: State, symbol: str, theirs: Decimal, price: Decimal | None, *, why: str
) -> tuple[State, Messages]:
    """Book the broker's whole shares as ours; a fraction stays somebody else's.

    What vanished is valued at the last price known.
    """
    held = state.positions[symbol]
    target = int(theirs)
    change = target - held.qty
    if change == 0:
        return state, ()
    at_price = price if price is not None else _last_price(held)
    session = state.session or held.lots[-1].session
    booked = ledger.book(held.lots, qty=change, price=at_price, session=session)
    after = replace(held, lots=booked.lots, blocked="") if booked.lots else None
    state = replace(with_position(state, symbol, after), realised=state.realised + booked.realised)
    message = m.PositionAdjusted(
        symbol=symbol, strategy=held.strategy, qty=change, price=at_price, why=why
    )
    return state, (message,)


def _last_price(held: HeldLots) -> Decimal:
    known = (held.mark, held.price, held.lots[-1].price)
    return next(price for price in known if price is not None)


# --- the operator's word --------------------------------------------------------------------------


def adopt_dispute(state: State, symbol: str, *, by: str) -> tuple[State, Messages]:
    """Take the broker's position as ours, with our stop for all of it.

    A position turned round has no stop that would fit: that one can only be released.
    """
    dispute, held = state.disputes.get(symbol), state.positions.get(symbol)
    if dispute is None or held is None or dispute.standing is PositionStanding.OTHER_SIGN:
        return state, ()
    held = replace(held, foreign=dispute.foreign, setbacks=0, form=None)
    state, messages = adopt(
        with_position(_settle(state, symbol), symbol, held),
        symbol,
        dispute.theirs,
        dispute.price,
        why=f"adopted by {by}: {dispute.why}",
    )
    fraction = dispute.theirs - int(dispute.theirs)
    return _accept(state, symbol, fraction), messages


def release(state: State, symbol: str, *, by: str) -> tuple[State, Messages]:
    """Give the shares up: they are not ours any more, and our stop is canceled."""
    held = state.positions.get(symbol)
    if held is None:
        return state, ()
    message = m.PositionAdjusted(
        symbol=symbol,
        strategy=held.strategy,
        qty=-held.qty,
        price=_last_price(held),
        why=f"released by {by}",
    )
    return with_position(_settle(state, symbol), symbol, None), (message,)


def acknowledge(state: State, symbol: str) -> State:
    """The operator knows of the shares that are not ours; missing ones cannot be talked away."""
    dispute = state.disputes.get(symbol)
    if dispute is None or not _is_covered(dispute):
        return state
    return _accept(_settle(state, symbol), symbol, dispute.theirs - dispute.ours)


def _is_covered(dispute: Dispute) -> bool:
    sign = 1 if dispute.ours > 0 else -1
    return dispute.theirs * sign >= abs(dispute.ours)


def _accept(state: State, symbol: str, qty: Decimal) -> State:
    accepted = {key: value for key, value in state.accepted.items() if key != symbol}
    return replace(state, accepted={**accepted, symbol: qty} if qty else accepted)


def _settle(state: State, symbol: str) -> State:
    disputes = {key: dispute for key, dispute in state.disputes.items() if key != symbol}
    drifts = {key: drift for key, drift in state.drifts.items() if key != symbol}
    return replace(state, disputes=disputes, drifts=drifts)
