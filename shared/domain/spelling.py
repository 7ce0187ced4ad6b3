"""What to offer instead of an unknown name, for every error sentence that can offer something."""

import difflib
from collections.abc import Iterable

# Below this likeness (1 is equal) a suggestion only confuses; the names themselves help more.
LEAST_LIKENESS = 0.5
MOST_NAMES = 12  # what still fits into one readable sentence


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, else all of them."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=LEAST_LIKENESS)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "there are none."
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"known names: {', '.join(names[:MOST_NAMES])}{more}."
