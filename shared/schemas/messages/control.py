"""What the operator asks for, through the console."""

from shared.schemas import fields as f
from shared.schemas.values import Message


class ReconcileRequested(Message, frozen=True, kw_only=True):
    """The operator asks for a comparison with the broker now."""

    by: f.Text


class ActivateRequested(Message, frozen=True, kw_only=True):
    """The operator moves trading from reducing back to active."""

    by: f.Text
    why: f.Text


class AdoptRequested(Message, frozen=True, kw_only=True):
    """The broker's position in a disputed symbol is ours from now on."""

    symbol: f.ForeignName
    by: f.Text


class ReleaseRequested(Message, frozen=True, kw_only=True):
    """The shares of a symbol are not ours any more; our stop is canceled."""

    symbol: f.ForeignName
    by: f.Text


class DriftAcknowledged(Message, frozen=True, kw_only=True):
    """The operator has looked at a symbol's disagreement; it may be traded again."""

    symbol: f.ForeignName
    by: f.Text


class KillCleared(Message, frozen=True, kw_only=True):
    """The operator has seen `kills`, and clears all up to `cleared_id`.

    Signed, the envelope of this message is what every latch obeys.
    """

    cleared_id: f.Id
    by: f.Text
    why: f.Text
    kills: tuple[f.Id, ...] = ()


class KillDrilled(Message, frozen=True, kw_only=True):
    """The operator has tried the kill on the running stack; `failures` is empty if all held.

    `confirmed` has the milliseconds after which each service had halted.
    """

    passed: bool
    confirmed: dict[f.Word, f.Count]
    failures: tuple[f.Text, ...]
    by: f.Text
