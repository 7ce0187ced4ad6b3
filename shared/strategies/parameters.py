"""The types that a strategy's parameters are made of, with the range each may have.

Used in every `Params`; registry.params_from checks a table of kobe.toml against them.
"""

from typing import Annotated

from msgspec import Meta

Period = Annotated[int, Meta(ge=1, le=5_000)]
"""So many own bars."""
Age = Annotated[int, Meta(ge=0, le=5_000)]
Multiple = Annotated[float, Meta(gt=0, le=1_000)]
"""So many times the average true range, or the risk."""
Price = Annotated[float, Meta(ge=0, le=1e9)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
