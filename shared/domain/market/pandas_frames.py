"""pandas frames of bars to arrays and back: the only module of the domain that imports pandas.

Called by whoever has a frame (research notebooks, file vendors, the pandas faces of strategies);
never by a service's hot path.
"""

from collections.abc import Hashable

import numpy as np
import pandas as pd

from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS, Bars, Panel, align
from shared.domain.market.refusals import RefusedBar, refuse_impossible

COLUMNS: tuple[Hashable, ...] = ("timestamp", "symbol", *FIELDS)


def read_frame(frame: pd.DataFrame) -> Bars:
    """Bars from rows of `timestamp, symbol, open, high, low, close, volume`.

    Symbols keep their order of appearance; a timestamp's own calendar date is its session. Raises
    UserError if a column is missing or holds something that is neither a number nor a date.
    """
    missing = [str(name) for name in COLUMNS if name not in frame.columns]
    if missing:
        needed = ", ".join(map(str, COLUMNS))
        raise UserError(f"The frame of bars has no column {', '.join(missing)}; it needs {needed}.")
    codes, symbols = pd.factorize(frame["symbol"])
    if (codes < 0).any():
        raise UserError("The frame of bars has rows without a symbol.")
    try:
        stamps = pd.to_datetime(frame["timestamp"], format="ISO8601")
        fields = {name: frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in FIELDS}
    except (ValueError, TypeError) as error:
        raise UserError(
            f"The frame of bars holds something that is neither a number nor a date: {error}."
        ) from error
    if stamps.isna().any():
        raise UserError("The frame of bars has rows without a timestamp.")
    session = stamps.dt.tz_localize(None).to_numpy().astype("datetime64[D]")
    return Bars(tuple(map(str, symbols)), codes.astype(np.int32), session, **fields)


def panel_of(frame: pd.DataFrame) -> tuple[Panel, list[RefusedBar]]:
    """The aligned panel of a frame's possible bars, and the bars that were refused."""
    good, refused = refuse_impossible(read_frame(frame))
    return align(good), refused


def frame_of(panel: Panel) -> pd.DataFrame:
    """The panel's bars as rows, by symbol, then session."""
    row, column = np.nonzero(~np.isnan(panel.close))
    fields = {name: getattr(panel, name)[row, column] for name in FIELDS}
    symbols = np.array(panel.symbols, dtype=object)[row]
    return pd.DataFrame(
        {"timestamp": panel.sessions[column].astype("datetime64[ms]"), "symbol": symbols, **fields}
    )
