"""QuantConnect's daily bars.

No header, `20200102 00:00,3000000,…`, prices in ten-thousandths of a dollar.

Called by tables.py. The form is told by its dates and whole numbers; the symbol is the file's name.
"""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import FIELDS, PRICES
from shared.runtime.bar_files.dates import Dates, read_dates
from shared.runtime.bar_files.layouts import Layout
from shared.runtime.bar_files.numbers import Numbers, read_numbers

LAYOUT = Layout("QuantConnect LEAN", frozenset(), Basis.RAW)
LINE = re.compile(rb"\d{8} \d{2}:\d{2},\d+,\d+,\d+,\d+,\d+\s*")
UNITS_PER_DOLLAR = 10_000


@dataclass(frozen=True, slots=True)
class LeanBars:
    dates: Dates
    fields: dict[str, Numbers]


def is_lean(content: bytes) -> bool:
    return LINE.fullmatch(content[:200].split(b"\n", 1)[0]) is not None


def read_lean(content: bytes) -> LeanBars:
    names = ["date", *FIELDS]
    try:
        table = pacsv.read_csv(
            pa.py_buffer(content),
            read_options=pacsv.ReadOptions(column_names=names),
            convert_options=pacsv.ConvertOptions(
                column_types={"date": pa.string(), **dict.fromkeys(FIELDS, pa.float64())}
            ),
        )
    except pa.ArrowException as error:
        raise UserError(f"its rows cannot be read: {str(error).splitlines()[0]}") from error
    fields = {name: read_numbers(table[name]) for name in FIELDS}
    prices = {name: np.round(fields[name] / UNITS_PER_DOLLAR, 4) for name in PRICES}
    return LeanBars(read_dates(table["date"]), {**fields, **prices})
