"""A column of dates, of whatever type and spelling, to New York sessions and times of day.

Called by tables.py. A time zone or offset is honoured; an order of day and month that the file does
not settle, not even against the exchange calendar, is refused and never guessed.
"""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.domain.errors import UserError
from shared.domain.market.sessions import Sessions, is_session
from shared.runtime.bar_files.date_texts import NEW_YORK, DateOrder, Moment, read_moment

Minutes = NDArray[np.int16]
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
EPOCHS = {"s": (1e8, 1e10), "ms": (1e11, 1e13), "us": (1e14, 1e16), "ns": (1e17, 1e19)}
"""Instants from 1973 to far ahead, by the size that their number has in each unit."""
COMPACT = (19000101, 21001231)
DAY_NUMBERS = {"days since 1970": "1970-01-01", "spreadsheet days": "1899-12-30"}
DAY_NUMBERS_FROM, DAY_NUMBERS_TO = 3650, 80_000
"""From 1980 on, counted from 1970: smaller numbers are rather those of rows."""
SETTLED, UNLIKELY = 0.99, 0.9
"""A reading is settled by so many of its days being sessions, if no other has so many."""
CHUNK_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class Dates:
    """`session` is NaT where a row has no date.

    `minute` is the time of day, 0 where none is written.

    `is_instant` if the times are New York's by a zone, an offset or an epoch.
    """

    session: Sessions
    minute: Minutes
    is_instant: bool

    def take(self, places: NDArray[np.integer]) -> "Dates":
        return Dates(self.session[places], self.minute[places], self.is_instant)


def read_dates(column: pa.ChunkedArray, *, month_first: bool | None = None) -> Dates:
    """The sessions of a column. Raises UserError if its dates may mean different days."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_date(kind):
        return _naive(column.cast(pa.timestamp("s")))
    if pa.types.is_timestamp(kind):
        return _instants(column) if kind.tz else _naive(column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        encoded = column.combine_chunks().dictionary_encode()
        numbers = np.array(encoded.dictionary.cast(pa.float64(), safe=False).to_pylist(), float)
        return _spread(encoded, _read_numbers(numbers))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        encoded = column.combine_chunks().dictionary_encode()
        return _spread(encoded, _read_texts(encoded.dictionary.to_pylist(), month_first))
    if pa.types.is_null(kind):
        return _spread(pa.array([None] * len(column), pa.int32()).dictionary_encode(), _nothing())
    raise UserError(f"its dates are of the type {kind}; write them as YYYY-MM-DD.")


def _nothing() -> Dates:
    return Dates(np.array([], "datetime64[D]"), np.array([], np.int16), is_instant=False)


def _spread(encoded: pa.Array, values: Dates) -> Dates:
    """The distinct values on the rows; a row without one has no date."""
    last = values.session.size
    places = np.array(pc.fill_null(encoded.indices, last), np.int64)
    session = np.append(values.session, np.datetime64("NaT", "D"))
    minute = np.append(values.minute, np.int16(0)).astype(np.int16)
    return Dates(session[places], minute[places], values.is_instant)


# --- typed columns --------------------------------------------------------------------------------


def _naive(column: pa.ChunkedArray) -> Dates:
    return Dates(*_day_and_minute(column), is_instant=False)


def _instants(column: pa.ChunkedArray) -> Dates:
    """Midnights of their own zone or of UTC are dates; any other instant counts in New York."""
    own = _day_and_minute(pc.local_timestamp(column))
    utc = _day_and_minute(pc.local_timestamp(_in_zone(column, "UTC")))
    for day, minute in (own, utc):
        if not minute.any():
            return Dates(day, minute, is_instant=False)
    local = _day_and_minute(pc.local_timestamp(_in_zone(column, str(NEW_YORK))))
    return Dates(*local, is_instant=True)


def _in_zone(column: pa.ChunkedArray, zone: str) -> pa.ChunkedArray:
    return column.cast(pa.timestamp(column.type.unit, tz=zone))


def _day_and_minute(column: pa.ChunkedArray) -> tuple[Sessions, Minutes]:
    """Chunk by chunk: the columns are long, and most are midnights."""
    unit = column.type.unit
    lost = np.iinfo(np.int64).min  # numpy's NaT
    days, minutes = np.empty(len(column), "datetime64[D]"), np.zeros(len(column), np.int16)
    first = 0
    for chunk in pa.table({"stamp": column}).to_batches(max_chunksize=CHUNK_ROWS):
        numbers = np.from_dlpack(pc.fill_null(chunk.column(0).cast(pa.int64()), lost))
        stamps = numbers.view(f"datetime64[{unit}]")
        part = slice(first, first + numbers.size)
        days[part] = stamps.astype("datetime64[D]")
        odd = np.flatnonzero((stamps != days[part]) & ~np.isnat(stamps))
        past = (stamps[odd] - days[part][odd]).astype("timedelta64[m]").astype(np.int64)
        minutes[first + odd] = past
        first += numbers.size
    return days, minutes


# --- numbers --------------------------------------------------------------------------------------


def _read_numbers(numbers: NDArray[np.float64]) -> Dates:
    known = numbers[np.isfinite(numbers)]
    smallest, largest = (known.min(), known.max()) if known.size else (0, 0)
    if COMPACT[0] <= smallest and largest <= COMPACT[1]:
        texts = [f"{number:.0f}" if np.isfinite(number) else None for number in numbers]
        return _read_texts(texts, None)
    for unit, (least, most) in EPOCHS.items():
        if least <= smallest and largest < most:
            stamps = pa.array(numbers, from_pandas=True).cast(pa.int64(), safe=False)
            return _instants(pa.chunked_array([stamps.cast(pa.timestamp(unit, tz="UTC"))]))
    if smallest >= DAY_NUMBERS_FROM and largest < DAY_NUMBERS_TO:
        return _read_day_numbers(numbers)
    raise UserError(
        f"its dates are numbers ({smallest:.15g}) that are no epoch; write them as YYYY-MM-DD."
    )


def _read_day_numbers(numbers: NDArray[np.float64]) -> Dates:
    """Days counted from 1970 or as spreadsheets do: the exchange calendar tells which."""
    whole = np.where(np.isfinite(numbers), numbers, 0).astype(np.int64)
    readings = {name: np.datetime64(origin) + whole for name, origin in DAY_NUMBERS.items()}
    settled = _settle({name: days[np.isfinite(numbers)] for name, days in readings.items()})
    if settled is None:
        raise UserError(
            f"its dates are numbers ({whole[0]}) that may be {' or '.join(readings)}; write "
            "them as YYYY-MM-DD."
        )
    session = np.where(np.isfinite(numbers), readings[settled], np.datetime64("NaT", "D"))
    return Dates(session, np.zeros(session.size, np.int16), is_instant=False)


def _settle(readings: dict[str, Sessions]) -> str | None:
    """The reading whose days are sessions, if no other's are; None if that settles nothing."""
    shares = {name: float(is_session(days).mean()) for name, days in readings.items() if days.size}
    best, *others = sorted(shares, key=lambda name: -shares[name])
    rival = max((shares[name] for name in others), default=0.0)
    is_settled = shares[best] >= SETTLED and rival < UNLIKELY
    return best if is_settled or (shares[best] == 1 and rival < 1) else None


# --- texts ----------------------------------------------------------------------------------------


def _read_texts(texts: Sequence[str | None], month_first: bool | None) -> Dates:
    if any(text and text.strip() for text in texts) and all(
        not text or not text.strip() or _is_plain_number(text) for text in texts
    ):
        return _read_numbers(np.array([float(text or "nan") for text in texts]))
    moments = [read_moment(text) if text else None for text in texts]
    order = _order(texts, moments, month_first)
    days = [
        each.days.get(DateOrder.CERTAIN) or each.days.get(order) if each else None
        for each in moments
    ]
    return _in_new_york(moments, days)


def _is_plain_number(text: str) -> bool:
    """A number, yet no date of eight digits with a time behind it."""
    bare = text.strip()
    is_compact = bare.isdigit() and len(bare) in (12, 14) and read_moment(bare) is not None
    is_date = bare.count(".") == 2 or (bare.isdigit() and len(bare) == 8 and read_moment(bare))
    return bool(NUMBER.fullmatch(bare)) and not is_date and not is_compact


def _order(
    texts: Sequence[str | None], moments: Sequence[Moment | None], month_first: bool | None
) -> DateOrder:
    """Which number is the month, by what the vendor writes or the whole file shows."""
    open_ones = [each for each in moments if each and DateOrder.CERTAIN not in each.days]
    if not open_ones:
        return DateOrder.CERTAIN
    counts = {order: sum(order in each.days for each in open_ones) for order in DateOrder}
    orders = [order for order in DateOrder if counts[order] >= SETTLED * len(open_ones)]
    if month_first and DateOrder.MONTH_FIRST in orders:
        return DateOrder.MONTH_FIRST
    if not orders:
        raise UserError("its dates are in no one order of day and month; write them as YYYY-MM-DD.")
    if len(orders) == 1:
        return orders[0]
    settled = _settle(
        {
            order: np.array([each.days[order] for each in open_ones if order in each.days], "M8[D]")
            for order in orders
        }
    )
    if settled is None:
        text = next(
            text
            for text, each in zip(texts, moments, strict=True)
            if each and len(set(each.days.values())) > 1
        )
        raise UserError(
            f"its dates are ambiguous: {text} may be {' or '.join(orders)}, and all of "
            "them would be sessions; write them as YYYY-MM-DD."
        )
    return DateOrder(settled)


def _in_new_york(moments: Sequence[Moment | None], days: Sequence[dt.date | None]) -> Dates:
    """Midnights of their own zone or of UTC are dates; any other instant counts in New York."""
    own = [
        dt.datetime.combine(day, each.time or dt.time(), each.zone) if each and day else None
        for each, day in zip(moments, days, strict=True)
    ]
    zoned = [each for each in own if each and each.tzinfo]
    shown = own
    if any(each.time() != dt.time() for each in zoned):
        utc_midnights = all(each.astimezone(dt.UTC).time() == dt.time() for each in zoned)
        zone = dt.UTC if utc_midnights else NEW_YORK
        shown = [each.astimezone(zone) if each and each.tzinfo else each for each in own]
    session = np.array([each.date() if each else None for each in shown], "datetime64[D]")
    minute = [each.hour * 60 + each.minute if each else 0 for each in shown]
    return Dates(session, np.array(minute, np.int16), is_instant=bool(zoned) and any(minute))
