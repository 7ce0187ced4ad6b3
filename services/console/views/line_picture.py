"""A line of numbers as a picture of characters, for a terminal. Pure."""

from collections.abc import Sequence

EIGHTHS = " ▁▂▃▄▅▆▇█"
PLAIN = "  ...:::#"
"""For terminals whose encoding has no blocks."""
HEIGHT = 6
"""Rows: enough to see the shape, few enough to leave the tables on the screen."""


def line_picture(values: Sequence[float], *, width: int, blocks: bool = True) -> list[str]:
    """Rows from top to bottom, each with its value at the left; empty without values."""
    if not values or width < 1:
        return []
    points = _resample(values, width)
    low, high = min(points), max(points)
    span = (high - low) or 1.0
    marks = EIGHTHS if blocks else PLAIN
    levels = [round((point - low) / span * HEIGHT * 8) for point in points]
    labels = [f"{low + span * row / (HEIGHT - 1):,.0f}" for row in range(HEIGHT)]
    margin = max(map(len, labels))
    return [
        f"{labels[row]:>{margin}} {_row(levels, row, marks)}".rstrip()
        for row in reversed(range(HEIGHT))
    ]


def _row(levels: Sequence[int], row: int, marks: str) -> str:
    return "".join(marks[min(8, max(0, level - 8 * row))] for level in levels)


def _resample(values: Sequence[float], width: int) -> list[float]:
    """The last value of each of `width` equal parts; fewer values stay as they are."""
    if len(values) <= width:
        return list(values)
    return [values[(place + 1) * len(values) // width - 1] for place in range(width)]
