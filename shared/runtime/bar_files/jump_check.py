"""Whether prices bear out the basis they are said to be on: jumps like splits speak against it.

Called by the reader. Raw prices with the jump of a split and without its factor never pass in
silence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Panel
from shared.domain.market.jumps import Jump, find_jumps, guess_basis, split_expectation

ENOUGH_EXPECTED = 3
"""Where three splits were due and none shows, prices are adjusted by their looks."""


@dataclass(frozen=True, slots=True)
class BasisCheck:
    """`is_guessed` if only the prices themselves tell the basis; `jumps` are left as they are."""

    basis: Basis
    jumps: tuple[Jump, ...] = ()
    is_guessed: bool = False
    objection: str = ""


def check_jumps(label: str, panel: Panel, basis: Basis) -> BasisCheck:
    """The basis as far as the prices bear it out, or the objection if they jump."""
    jumps = tuple(find_jumps(panel))
    looks = guess_basis(panel, jumps)
    telling = [each for each in jumps if each.is_clear or (basis is Basis.RAW and each.is_usual)]
    is_raw = telling and Basis.RAW in (looks, basis)
    objection = _jump_sentence(label, telling, basis) if is_raw else ""
    if basis is not Basis.UNKNOWN:
        return BasisCheck(basis, jumps, objection=objection)
    if looks is Basis.RAW or split_expectation(panel) >= ENOUGH_EXPECTED:
        return BasisCheck(looks, jumps, is_guessed=True, objection=objection)
    return BasisCheck(Basis.UNKNOWN, jumps, objection=objection)


def _jump_sentence(label: str, jumps: Sequence[Jump], basis: Basis) -> str:
    more = f" (and {len(jumps) - 1} more)" if len(jumps) > 1 else ""
    claim = {
        Basis.RAW: "its prices are unadjusted",
        Basis.UNKNOWN: "its prices look unadjusted",
    }.get(basis, f"its prices are said to be {basis}, and are not")
    return (
        f"{label}: {jumps[0]}{more}; {claim}. Give the splits with --adjust FILE (symbol, ex_date, "
        "ratio), or add --accept-flawed to take the prices as they are."
    )
