"""report.html of a demo: what the stack traded, as one page that needs no network.

Called by `kobe demo`. It computes nothing that the demo's result does not already hold.
"""

from pathlib import Path

import numpy as np
from markupsafe import Markup

from services.console.views.demo_result import DemoResult
from services.research.reports.pages import templates
from services.research.reports.svg_charts import Series, chart, money

TEMPLATES = Path(__file__).parent / "templates"


def render(result: DemoResult) -> str:
    """The whole page."""
    closed = [trade.pnl for trade in result.trades if trade.pnl is not None]
    curve = result.equity_curve
    start = curve[0][1] if curve else 0.0
    page = templates(TEMPLATES).get_template("traded.html.j2")
    return page.render(
        result=result,
        span=f"{curve[0][0]} to {curve[-1][0]}" if curve else "",
        start=start,
        end=float(result.equity),
        gain=float(result.equity) / start - 1 if start else None,
        closed=closed,
        won=sum(pnl > 0 for pnl in closed) / len(closed) if closed else None,
        pnl=float(sum(closed)),
        denied=sum(result.denied.values()),
        picture=_picture(curve),
    )


def _picture(curve: list[tuple[str, float]]) -> Markup:
    if not curve:
        return Markup()
    sessions = np.array([session for session, _ in curve], "datetime64[D]")
    line = Series("equity", np.array([equity for _, equity in curve]), "ours")
    return chart(sessions, [line], money, height=270, title="Equity")
