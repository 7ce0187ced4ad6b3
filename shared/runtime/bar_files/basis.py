"""Which basis files are on.

What their layout or a person says, adjusted by splits that are known, then checked.

Called by table_reader.py. What the prices themselves say is jump_check.py's.
"""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from shared.domain.errors import UserError
from shared.domain.market.adjustment import (
    Basis,
    adjust_for_splits,
    effective_splits,
    scale,
)
from shared.domain.market.bars import FIELDS, Bars
from shared.runtime.bar_files.columns import Column
from shared.runtime.bar_files.tables import TableBars
from shared.schemas.corporate_actions import Split


def adjust_parts(parts: Sequence[TableBars], said: Basis | None, splits: Sequence[Split]) -> Basis:
    """Bring the parts to one share basis in place, and say which.

    Raises UserError if they differ.
    """
    bases = {_adjust_by_columns(part, has_splits=bool(splits)): part for part in parts}
    known = {basis: part for basis, part in bases.items() if basis is not Basis.UNKNOWN}
    if len(known) > 1 and said is None:
        (one, first), (other, second) = list(known.items())[:2]
        raise UserError(
            f"{first.source.label} is {one} but {second.source.label} is {other}; bars of two "
            "bases are never mixed. Read them apart, or state what they are with --basis."
        )
    basis = said or next(iter(known), Basis.UNKNOWN)
    if not splits:
        return basis
    if basis in (Basis.SPLIT, Basis.TOTAL):
        raise UserError(
            f"{parts[0].source.label} is {basis} already; splits are for unadjusted prices."
        )
    last = max(part.dates.session[~np.isnat(part.dates.session)].max() for part in parts)
    for part in parts:
        _replace_fields(part, adjust_for_splits(_bars(part), effective_splits(splits, last)))
    return Basis.SPLIT


def _adjust_by_columns(part: TableBars, *, has_splits: bool) -> Basis:
    """By the split or factor column of a file of raw prices, if it has one."""
    basis = part.layout.basis
    if basis is not Basis.RAW or has_splits:
        return basis
    if Column.PRICE_FACTOR in part.factors:
        factors = np.asarray(part.factors[Column.PRICE_FACTOR], np.float64)
        known = np.isfinite(factors) & (factors > 0)
        _replace_fields(part, scale(_bars(part), np.where(known, factors, 1.0)))
        return Basis.SPLIT
    if Column.SPLIT in part.factors:
        _replace_fields(part, adjust_for_splits(_bars(part), _column_splits(part)))
        return Basis.SPLIT
    return basis


def _column_splits(part: TableBars) -> list[Split]:
    ratios = np.asarray(part.factors[Column.SPLIT], np.float64)
    places = np.flatnonzero(np.isfinite(ratios) & (ratios > 0) & (ratios != 1))
    return [
        Split(
            symbol=part.symbols[part.row[place]],
            ex_date=part.dates.session[place].item(),
            new=Decimal(repr(float(ratios[place]))),
            old=Decimal(1),
        )
        for place in places.tolist()
    ]


def _bars(part: TableBars) -> Bars:
    return Bars(part.symbols, part.row, part.dates.session, **part.fields)


def _replace_fields(part: TableBars, bars: Bars) -> None:
    for name in FIELDS:
        part.fields[name] = getattr(bars, name)
