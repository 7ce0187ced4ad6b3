"""Charts as inline SVG: lines and areas over sessions, drawn from arrays; no library, no network.

Called by the reports. Colours and fonts are the stylesheet's (templates/report.css); every text is
escaped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Sessions = NDArray[np.datetime64]
Form = Callable[[float], str]

WHOLE, HALF = 1160, 540
"""Widths of a picture across the page and across half of it."""
LINES = ("ours", "second", "third", "fourth", "fifth")
"""Styles of lines that are compared, in order."""
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 10, 24
MOST_POINTS = 1_400
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A line, or with `fill` the area between it and zero. `style` is its CSS class."""

    name: str
    values: Floats
    style: str
    fill: bool = False


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to the picture's points."""

    low: float
    high: float
    count: int
    width: int
    height: int

    def x(self, place: float) -> float:
        return LEFT + (self.width - LEFT - RIGHT) * (place / max(1, self.count - 1))

    def y(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return TOP + (self.height - TOP - BOTTOM) * (1 - share)


def chart(
    sessions: Sessions,
    series: Sequence[Series],
    form: Form,
    *,
    height: int,
    title: str,
    width: int = WHOLE,
) -> Markup:
    """One picture of all series on one axis; `form` writes the axis' numbers."""
    ticks = _ticks(*_bounds(series), 5 if height > 200 else 3)
    scale = _Scale(ticks[0], ticks[-1], sessions.size, width, height)
    parts = [_grid(scale, ticks, form), _dates(scale, sessions)]
    parts += [_draw_series(scale, each) for each in series if each.values.size]
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, title, Markup("").join(parts)
    )


def legend(series: Sequence[Series]) -> Markup:
    keys = (
        Markup('<span class="key {}">{}</span>').format(each.style, each.name) for each in series
    )
    return Markup('<p class="legend">{}</p>').format(Markup("").join(keys))


def money(value: float) -> str:
    """Whole dollars; thousands and millions short."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"${value / size:,.4g}{unit}"
    return f"${value:,.0f}"


def percent(value: float) -> str:
    return f"{value:.0%}" if abs(value) >= 0.095 or value == 0 else f"{value:.1%}"


def _bounds(series: Sequence[Series]) -> tuple[float, float]:
    known = np.concatenate(
        [each.values[np.isfinite(each.values)] for each in series] or [np.zeros(1)]
    )
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if any(each.fill for each in series):
        low, high = min(low, 0.0), max(high, 0.0)
    return (
        (low, high)
        if high > low
        else (low - abs(low) * 0.01 - 0.01, high + abs(high) * 0.01 + 0.01)
    )


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers that enclose both bounds."""
    rough = (high - low) / count
    unit = 10.0 ** np.floor(np.log10(rough))
    step = float(next(unit * each for each in STEPS if unit * each >= rough * 0.999))
    first, last = int(np.floor(low / step + 1e-9)), int(np.ceil(high / step - 1e-9))
    return [place * step for place in range(first, last + 1)]


def _grid(scale: _Scale, ticks: Sequence[float], form: Form) -> Markup:
    line = Markup('<line class="grid{}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>')
    text = Markup('<text class="tick" x="{}" y="{:.1f}">{}</text>')
    rows = []
    for tick in ticks:
        y = scale.y(tick)
        rows.append(line.format(" zero" if tick == 0 else "", LEFT, scale.width - RIGHT, y, y))
        rows.append(text.format(LEFT - 8, y + 4, form(tick)))
    return Markup("").join(rows)


def _dates(scale: _Scale, sessions: Sessions) -> Markup:
    """A mark where a year begins; where a quarter or a month does, if there are few years."""
    months = sessions.astype("datetime64[M]").astype(np.int64)
    starts = np.flatnonzero(np.diff(months, prepend=months[0] - 1) > 0)
    every = _months_between_marks(int(months[-1] - months[0]))
    line = Markup('<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>')
    text = Markup('<text class="date" x="{:.1f}" y="{}">{}</text>')
    foot = scale.height - BOTTOM
    marks, free = [], LEFT + 0.0
    for place in starts.tolist():
        x = scale.x(place)
        if months[place] % every == 0 and free <= x <= scale.width - 30:
            label = str(sessions[place])[: 4 if every >= 12 else 7]
            marks.append(line.format(x, foot, foot + 4) + text.format(x, scale.height - 6, label))
            free = x + (38 if every >= 12 else 56)
    return Markup("").join(marks)


def _months_between_marks(months: int) -> int:
    return next((every for every in (1, 3, 12, 24, 60) if months < 14 * every), 120)


def _draw_series(scale: _Scale, series: Series) -> Markup:
    places = _thin(series.values)
    values = series.values[places]
    known = np.isfinite(values)
    points = [
        f"{scale.x(p):.1f},{scale.y(v):.1f}"
        for p, v in zip(places[known], values[known], strict=True)
    ]
    line = Markup('<polyline class="{}" points="{}"/>').format(series.style, " ".join(points))
    if not series.fill or not points:
        return line
    zero, first, last = scale.y(0.0), scale.x(places[known][0]), scale.x(places[known][-1])
    around = f"{first:.1f},{zero:.1f} {' '.join(points)} {last:.1f},{zero:.1f}"
    return Markup('<polygon class="{} area" points="{}"/>').format(series.style, around) + line


def _thin(values: Floats) -> NDArray[np.int64]:
    """Places to draw: of each stretch its lowest and its highest, so that no peak is lost."""
    if values.size <= MOST_POINTS:
        return np.arange(values.size)
    edges = np.linspace(0, values.size, MOST_POINTS // 2 + 1).astype(np.int64)
    filled = np.where(np.isfinite(values), values, 0.0)
    kept = {0, values.size - 1}
    for begin, end in pairwise(edges.tolist()):
        part = filled[begin:end]
        kept |= {begin + int(part.argmin()), begin + int(part.argmax())}
    return np.array(sorted(kept))
