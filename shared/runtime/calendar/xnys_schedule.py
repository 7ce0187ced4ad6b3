"""Print the exchange's sessions: `python -m shared.runtime.calendar.xnys_schedule FIRST LAST`.

Run by xnys.py as a child process: the calendar imports pandas, which would stay in memory for the
sake of one table.
"""

import datetime as dt
import sys
import warnings

import msgspec


class Schedule(msgspec.Struct, frozen=True):
    """Sessions in order; instants are aware, UTC."""

    sessions: list[dt.date]
    opens: list[dt.datetime]
    closes: list[dt.datetime]


def schedule(first: dt.date, last: dt.date) -> Schedule:
    import exchange_calendars

    with warnings.catch_warnings():  # of the library's own, about the pandas to come
        warnings.simplefilter("ignore", DeprecationWarning)
        table = exchange_calendars.get_calendar("XNYS", start=first, end=last, side="left").schedule
    opens, closes = (table[name].to_numpy("datetime64[us]").tolist() for name in ("open", "close"))
    return Schedule(
        sessions=[day.date() for day in table.index.to_pydatetime()],
        opens=[instant.replace(tzinfo=dt.UTC) for instant in opens],
        closes=[instant.replace(tzinfo=dt.UTC) for instant in closes],
    )


if __name__ == "__main__":
    found = schedule(*(dt.date.fromisoformat(text) for text in sys.argv[1:3]))
    sys.stdout.buffer.write(msgspec.json.encode(found))
