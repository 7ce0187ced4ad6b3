"""The last requests to the broker, with their times and answers; the truth of fault suites."""

import datetime as dt
from collections import deque
from dataclasses import dataclass
from itertools import count

from starlette.types import Scope

from shared.runtime.clock import Clock

MAX_RECORDS = 20_000
"""More than the longest fault suite sends, about 10 MB."""


@dataclass(slots=True)
class RequestRecord:
    """One request; `at` is wall-clock time, `status` 0 if it was never answered."""

    n: int
    at: dt.datetime
    method: str
    path: str
    query: str
    body: str
    status: int = 0
    fault: str = ""


class RequestLog:
    """The last requests, oldest first."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._numbers = clock, count(1)
        self.records: deque[RequestRecord] = deque(maxlen=MAX_RECORDS)

    def now(self) -> dt.datetime:
        return self._clock.now()

    def record(self, scope: Scope, body: bytes) -> RequestRecord:
        query = scope["query_string"].decode("latin-1")
        text = body.decode(errors="replace")
        record = RequestRecord(
            next(self._numbers), self.now(), scope["method"], scope["path"], query, text
        )
        self.records.append(record)
        return record

    def recent(self, seconds: float) -> int:
        """How many requests came within the last `seconds`."""
        since, number = self.now() - dt.timedelta(seconds=seconds), 0
        for record in reversed(self.records):
            if record.at <= since:
                break
            number += 1
        return number
