"""The windows of a walk-forward: train on the past, test on what comes next.

Called by walk_forward.py. Each test session lies in exactly one window. Columns are those of the
whole panel; indicators may see all that lies before a window.
"""

import msgspec

from services.research.engine.portfolio_kernels import Window
from services.research.engine.simulate import window_between
from shared.domain.errors import UserError
from shared.domain.market.bars import Panel


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """First and last columns, both inclusive."""

    number: int
    train_first: int
    train_last: int
    test_first: int
    test_last: int


def folds(first: int, last: int, *, train: int, test: int, anchored: bool) -> tuple[Fold, ...]:
    """The folds of the sessions `first` to `last`; the last test window may be short.

    Raises UserError if there is none.
    """
    if train < 2 or test < 1:
        raise UserError(
            f"Windows of {train} and {test} sessions are too short to train and test.", exit_code=64
        )
    sessions = last - first + 1
    if sessions <= train:
        raise UserError(
            f"{train} sessions of training leave nothing to test: "
            f"the bars have {sessions} sessions."
        )
    return tuple(
        Fold(
            number=number,
            train_first=first if anchored else begin - train,
            train_last=begin - 1,
            test_first=begin,
            test_last=min(begin + test - 1, last),
        )
        for number, begin in enumerate(range(first + train, last + 1, test), start=1)
    )


def window(panel: Panel, first: int, last: int) -> Window:
    """The window whose first open fills the signals of the close before it."""
    return window_between(panel, first, last, signals_from=max(0, first - 1))
