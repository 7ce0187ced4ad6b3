"""pandas frames in and out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.domain.errors import UserError
from shared.domain.market.pandas_frames import frame_of, panel_of
from tests.oracles.made_bars import cent_walks, holed


def test_a_panel_comes_back_from_its_frame() -> None:
    panel = holed(cent_walks(1, symbols=4, bars=50))
    back, refused = panel_of(frame_of(panel))
    assert not refused
    assert back.symbols == panel.symbols
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(back, name), getattr(panel, name))


def test_rows_may_come_by_session_instead_of_by_symbol() -> None:
    panel = holed(cent_walks(1, symbols=4, bars=50))
    back, refused = panel_of(frame_of(panel).sort_values(["timestamp", "symbol"]))
    assert not refused
    np.testing.assert_array_equal(back.select(panel.symbols).close, panel.close)


def test_the_session_of_a_stamp_with_a_zone_is_its_date_there() -> None:
    frame = frame_of(cent_walks(1, symbols=1, bars=3))
    frame["timestamp"] = (frame["timestamp"] + pd.Timedelta(hours=20)).dt.tz_localize(
        "America/New_York"
    )
    assert panel_of(frame)[0].sessions.astype(str).tolist() == [
        "2019-12-31",
        "2020-01-02",
        "2020-01-03",
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f.drop(columns=["volume"]), "has no column volume"),
        (lambda f: f.assign(close="x"), "neither a number nor a date"),
        (lambda f: f.assign(timestamp="not a day"), "neither a number nor a date"),
        (lambda f: f.assign(timestamp=pd.NaT), "without a timestamp"),
        (lambda f: f.assign(symbol=None), "without a symbol"),
    ],
)
def test_a_frame_that_is_not_bars_is_refused_in_a_sentence(change: object, sentence: str) -> None:
    assert callable(change)
    with pytest.raises(UserError, match=sentence):
        panel_of(change(frame_of(cent_walks(1, symbols=1, bars=3))))
