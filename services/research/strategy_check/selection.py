"""The strategies of a run, asked for their signals; what is wrong with one is said in a sentence.

Called by every research command. Whether a user's own can be believed is the guard's to say.
"""

import hashlib
import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from services.research.data.inputs import Inputs, StrategyInputs
from shared.domain.errors import UserError
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.strategies import registry
from shared.strategies.registry import Strategy


@dataclass(frozen=True, slots=True)
class SelectedStrategy:
    """A strategy with its parameters; `digest` is that of its file when it was loaded."""

    strategy: Strategy
    params: Any
    digest: str

    @property
    def name(self) -> str:
        return self.strategy.NAME

    @property
    def file(self) -> Path:
        return file_of(self.strategy)

    @property
    def is_built_in(self) -> bool:
        return self.file.parent == registry.ROOM

    def warmup(self) -> int:
        return int(self.strategy.warmup(self.params))


class StrategyShelf:
    """Loads each strategy once, however many threads ask and whatever becomes of its file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: dict[tuple[str, str], tuple[Strategy, str]] = {}

    def select(self, inputs: Inputs) -> tuple[SelectedStrategy, ...]:
        """The inputs' strategies in rank order.

        Raises UserError if a name or parameter is unknown or impossible, or a name is given twice.
        """
        if len(set(inputs.names)) < len(inputs.names):
            raise UserError(f"A strategy is named twice: {', '.join(inputs.names)}.", exit_code=64)
        return tuple(self._select(each, inputs.folder) for each in inputs.strategies)

    def forget(self) -> None:
        """Load anew what is asked for next."""
        with self._lock:
            self._loaded.clear()

    def _select(self, each: StrategyInputs, folder: str) -> SelectedStrategy:
        strategy, digest = self._load(each.name, folder)
        refuse_endless_numbers(each)
        return SelectedStrategy(strategy, registry.params_from(strategy, each.parameters), digest)

    def _load(self, name: str, folder: str) -> tuple[Strategy, str]:
        with self._lock:
            if (name, folder) not in self._loaded:
                strategy = registry.load(name, Path(folder) if folder else None)
                digest = hashlib.sha256(file_of(strategy).read_bytes()).hexdigest()
                self._loaded[name, folder] = strategy, digest
            return self._loaded[name, folder]


def select_strategies(inputs: Inputs) -> tuple[SelectedStrategy, ...]:
    """The inputs' strategies in rank order, loaded for this once."""
    return StrategyShelf().select(inputs)


def file_of(strategy: Strategy) -> Path:
    return Path(str(getattr(strategy, "__file__", "")))


def refuse_endless_numbers(each: StrategyInputs) -> None:
    """Raises UserError if a parameter is not a finite number."""
    for name, value in each.parameters.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{each.name}.{name} must be a finite number, not {value}.")


def refuse_too_short(panel: Panel, picked: tuple[SelectedStrategy, ...], last: int) -> None:
    """Raises UserError if no symbol has the bars a strategy needs before its first signal."""
    most = int((~np.isnan(panel.close[:, : last + 1])).sum(axis=1).max(initial=0))
    for each in picked:
        needed = each.warmup() + 2
        if most < needed:
            raise UserError(
                f"{each.name} needs {needed} bars of a symbol (warm-up, signal, entry); "
                f"through {panel.sessions[last]} none has more than {most}."
            )


def signals_of(panel: Panel, each: SelectedStrategy) -> SignalTable:
    """A strategy's signals over the whole panel.

    Raises UserError if it fails or returns something else.
    """
    try:
        table = each.strategy.signals(panel, each.params)
    except Exception as error:
        raise UserError(
            f"The strategy {each.name} raised {type(error).__name__}: "
            f"{error}{_error_line(each, error)}."
        ) from error
    if not each.is_built_in:
        from services.research.strategy_check.checks import shape_fault

        wrong = shape_fault(table, panel)
        if wrong:
            raise UserError(f"The strategy {each.name} does not answer as it must: {wrong}")
    return table


def _error_line(each: SelectedStrategy, error: Exception) -> str:
    """Where in the strategy's own file it happened, if it did happen there."""
    line, trace = 0, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(each.file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line} of {each.file.name})" if line else ""
