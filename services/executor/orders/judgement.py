"""One judgement of a position: our books against what the broker says is held. Pure.

Called by the reconciliation for every symbol we hold. It only names what it sees; what is believed,
adopted or disputed is the reconciliation's to decide.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from shared.domain.trading.ledger import HeldLots
from shared.schemas.corporate_actions import CorporateActions
from shared.schemas.values import Value

SAME_WORTH = Decimal("0.3")
"""How far a night may move the worth of a position that a split leaves as it is."""


class ActionKind(StrEnum):
    SPLIT = "split"
    RENAME = "rename"
    REMOVAL = "removal"
    SPIN_OFF = "spin_off"


class CorporateAction(Value, frozen=True, kw_only=True, omit_defaults=True):
    """One announced action as the executor keeps it; `new` for `old` shares in a split.

    `new_symbol` is a rename's, or that of the shares a spin-off brings; `detail` why it ends.
    """

    kind: ActionKind
    symbol: str
    date: dt.date
    new: Decimal = Decimal(1)
    old: Decimal = Decimal(1)
    new_symbol: str = ""
    detail: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.symbol}/{self.date}"

    @property
    def ratio(self) -> Decimal:
        return self.new / self.old


def actions_from(found: CorporateActions) -> list[CorporateAction]:
    """The announcements of a vendor or a broker as ours."""
    kind = ActionKind
    actions = [
        CorporateAction(kind=kind.SPLIT, symbol=s.symbol, date=s.ex_date, new=s.new, old=s.old)
        for s in found.splits
    ]
    actions += [
        CorporateAction(kind=kind.RENAME, symbol=r.old, date=r.date, new_symbol=r.new)
        for r in found.renames
    ]
    actions += [
        CorporateAction(kind=kind.REMOVAL, symbol=r.symbol, date=r.date, detail=r.why)
        for r in found.removals
    ]
    actions += [
        CorporateAction(kind=kind.SPIN_OFF, symbol=s.symbol, date=s.ex_date, new_symbol=s.new)
        for s in found.spin_offs
    ]
    return actions


class PositionStanding(StrEnum):
    """How the broker's position stands to ours."""

    SAME = "same"
    FEWER = "fewer"
    MORE = "more"
    FRACTION = "fraction"
    OTHER_SIGN = "other_sign"
    GONE = "gone"
    CORPORATE_ACTION = "corporate_action"
    RENAMED = "renamed"


class Severity(StrEnum):
    """An alert stops entries in the symbol, a halt stops all of them."""

    NONE = "none"
    ALERT = "alert"
    HALT = "halt"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`external`: the broker's shares beyond our own. `action`: what explains the difference.

    `accepted` are others' shares that the operator knows of.
    """

    standing: PositionStanding
    ours: int
    theirs: Decimal
    accepted: Decimal = Decimal(0)
    external: Decimal = Decimal(0)
    action: CorporateAction | None = None
    new_symbol: str = ""

    @property
    def severity(self) -> Severity:
        """Shares of ours that are missing halt; shares that are not ours only alert."""
        if self.standing in (
            PositionStanding.SAME,
            PositionStanding.CORPORATE_ACTION,
            PositionStanding.RENAMED,
        ):
            return Severity.NONE
        covered = self.theirs * _sign(self.ours) >= abs(self.ours)
        return Severity.ALERT if covered else Severity.HALT

    @property
    def is_split(self) -> bool:
        return self.action is not None and self.action.kind is ActionKind.SPLIT

    @property
    def sentence(self) -> str:
        return f"{self.standing}: we hold {self.ours}, the broker {self.theirs.normalize():f}"

    def is_explained_by(self, executed: Decimal) -> bool:
        """Whether others' executions account for whole shares that are missing."""
        change = self.theirs - self.ours - self.accepted
        return (
            self.standing in (PositionStanding.FEWER, PositionStanding.GONE) and executed == change
        )


@dataclass(frozen=True, slots=True)
class BrokerHoldings:
    """What else the broker says, for judging one symbol by: its holdings by symbol and by asset."""

    qty: dict[str, Decimal]
    symbol_of_asset: dict[str, str]


def judge(
    held: HeldLots,
    theirs: Decimal,
    *,
    accepted: Decimal = Decimal(0),
    actions: Iterable[CorporateAction] = (),
    account: BrokerHoldings | None = None,
) -> Judgement:
    """Judge one symbol we hold.

    `accepted` are shares of others that the operator knows of; `actions` are those announced for
    the symbol, effective by now and not followed yet.
    """
    ours, own = held.qty, theirs - accepted
    moved = _corporate(held, theirs, own, actions, account)
    if moved:
        return moved
    covered = theirs * _sign(ours) >= abs(ours)
    standing = _standing_if_covered(own, ours) if covered else _standing_if_short(theirs, ours)
    external = theirs - ours if covered else Decimal(0)
    return Judgement(standing, ours, theirs, accepted, external)


def _standing_if_covered(own: Decimal, ours: int) -> PositionStanding:
    """The broker holds at least what is ours; fewer of others' shares than known are no matter."""
    if own * _sign(ours) <= abs(ours):
        return PositionStanding.SAME
    return PositionStanding.MORE if own == own.to_integral_value() else PositionStanding.FRACTION


def _standing_if_short(theirs: Decimal, ours: int) -> PositionStanding:
    """Shares of ours are missing."""
    if theirs == 0:
        return PositionStanding.GONE
    if theirs * ours < 0:
        return PositionStanding.OTHER_SIGN
    return (
        PositionStanding.FEWER
        if theirs == theirs.to_integral_value()
        else PositionStanding.FRACTION
    )


def _corporate(
    held: HeldLots,
    theirs: Decimal,
    own: Decimal,
    actions: Iterable[CorporateAction],
    account: BrokerHoldings | None,
) -> Judgement | None:
    ours = held.qty
    for action in actions:
        moves = {
            ActionKind.SPLIT: own in shares_after(ours, action),
            ActionKind.REMOVAL: own == 0,
            ActionKind.RENAME: own == 0 and _holds(account, action.new_symbol, ours),
        }
        if moves.get(action.kind):
            renamed = action.kind is ActionKind.RENAME
            standing = PositionStanding.RENAMED if renamed else PositionStanding.CORPORATE_ACTION
            return Judgement(standing, ours, theirs, action=action, new_symbol=action.new_symbol)
    symbol = account.symbol_of_asset.get(held.asset, "") if account and held.asset else ""
    if own == 0 and symbol not in ("", held.symbol) and _holds(account, symbol, ours):
        return Judgement(PositionStanding.RENAMED, ours, theirs, new_symbol=symbol)
    return None


def shares_after(ours: int, split: CorporateAction) -> tuple[Decimal, ...]:
    """Shares the broker may show after a split: with its fraction, or paid out in cash already."""
    exact = ours * split.new / split.old
    return exact, exact.to_integral_value(ROUND_DOWN)


def may_be_rescaled(held: HeldLots, theirs: Decimal, mark: Decimal | None) -> bool:
    """Whether other shares at another price are worth about the same: a split, and no trade."""
    if theirs == held.qty or theirs * held.qty <= 0:
        return False
    known = held.price or held.mark or held.lots[-1].price
    if mark is None or mark <= 0:
        return True
    return abs(theirs * mark / (held.qty * known) - 1) <= SAME_WORTH


def _holds(account: BrokerHoldings | None, symbol: str, qty: int) -> bool:
    return account is not None and account.qty.get(symbol) == qty


def _sign(qty: int) -> int:
    return 1 if qty >= 0 else -1
