"""A strategy's parameter grid: every combination of the values to try.

Called by walk_forward.py and its tasks. A grid of a million points takes no more room than its
lists.
"""

from collections.abc import Mapping
from math import prod

import msgspec

from shared.domain.errors import UserError
from shared.schemas.json_types import JsonMapping, JsonObject
from shared.strategies import registry
from shared.strategies.registry import Strategy

Value = bool | int | float


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """Fixed parameters in `base`, tried ones in `values`, the last one changing fastest."""

    base: JsonObject
    values: dict[str, tuple[Value, ...]]

    @property
    def size(self) -> int:
        return prod(len(values) for values in self.values.values())

    def point(self, place: int) -> dict[str, Value]:
        """The tried values of one set; `place` counts from 0."""
        chosen: dict[str, Value] = {}
        for name, values in reversed(self.values.items()):
            place, digit = divmod(place, len(values))
            chosen[name] = values[digit]
        return dict(reversed(chosen.items()))

    def parameters(self, place: int) -> JsonObject:
        return {**self.base, **self.point(place)}


def grid_of(strategy: Strategy, base: JsonMapping, values: Mapping[str, tuple[Value, ...]]) -> Grid:
    """The grid of a strategy.

    Raises UserError if a list is empty or repeats a value, or the strategy does not take a name or
    value.
    """
    for name, tried in values.items():
        if not tried or len(set(tried)) < len(tried):
            raise UserError(
                f"The grid of {strategy.NAME} needs different values for {name!r}, at least one."
            )
        for value in tried:
            registry.params_from(strategy, {**base, name: value})
    return Grid(base=dict(base), values={name: tuple(tried) for name, tried in values.items()})
