"""How prices are adjusted, and the factors that bring raw bars to one share basis.

Called by the archive, the readers of files and research. It says nothing about where corporate
actions come from (shared/schemas/corporate_actions.py has what they are).
"""

from enum import StrEnum


class Basis(StrEnum):
    """What a price means. Bars of two bases are never mixed."""

    RAW = "unadjusted"
    SPLIT = "split-adjusted"
    TOTAL = "split- and dividend-adjusted"
    UNKNOWN = "adjustment unknown"
