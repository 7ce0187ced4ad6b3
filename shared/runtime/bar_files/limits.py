"""How much is read, and how flawed it may be: limits that more than one module keeps."""

MOST_REFUSED = 0.01
"""Share of a symbol's bars that may be refused: vendors have a few bad ones in ten years."""
MOST_CELLS = 60_000_000
"""Symbols times sessions: 8,000 symbols of 30 years, which take 2.4 GB."""
