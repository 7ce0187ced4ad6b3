"""Asks a vendor over HTTP.

By its request budget, with deadlines, again where that can help, never silently empty.

Used by every vendor that lives on a network. Keys travel in headers only, to the vendor's own host
only; redirects are not followed.
"""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import requests
from requests.exceptions import ConnectionError as Unreached
from urllib3.exceptions import HTTPError

from services.data_fetcher.vendor_http.deadline import Deadline, deadline_session
from services.data_fetcher.vendor_http.refusals import (
    VENDOR_REFUSES,
    Reply,
    RequestRefused,
    Vendor,
    pause_after,
    refusal,
)
from services.data_fetcher.vendor_http.request_budget import RequestBudget, Unlimited
from shared.domain.errors import TransientError
from shared.runtime.backoff import Backoff
from shared.runtime.clock import Clock

T = TypeVar("T")
Read = Callable[[bytes], T]
"""Turns a body of status 200 into a value; raises Unreadable if it is not whole."""

MAX_BODY = 64 << 20
"""Bytes; the longest honest answer (all assets, a page of 50,000 bars) is a tenth of it."""
CHUNK = 1 << 16
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 20.0
"""Seconds between tries where the vendor names none."""
UNNAMED_PAUSE = 15.0
"""Seconds after a 429 that names no pause: a quarter of the minute that plans are counted by."""
JITTER = 0.5
"""Seconds at most added to a pause the vendor names.

So that not all processes come back at once.
"""


class Unreadable(Exception):
    """A body of status 200 that is cut, no JSON, or lacks what must be in it.

    Asking again may help.
    """


class _Unanswered(Exception):
    """No whole answer came: refused, reset, too slow, cut off, too long."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Bounds of one question.

    Seconds for the connect, a single read, one exchange, and all tries together.
    """

    connect: float = 5.0
    read: float = 15.0
    exchange: float = 60.0
    total: float = 240.0
    tries: int = 5


BARS = Patience()
QUOTES = Patience(connect=2.0, read=3.0, exchange=5.0, total=5.0, tries=1)
"""A scan waits for its quotes: whoever asks decides about another try."""


@dataclass
class VendorClient:
    """One vendor at one address. Thread-safe: each thread keeps a connection of its own."""

    vendor: Vendor
    url: str
    clock: Clock
    headers: Mapping[str, str] = field(default_factory=dict)
    budget: RequestBudget = field(default_factory=Unlimited)
    patience: Patience = BARS
    _local: threading.local = field(default_factory=threading.local, repr=False)

    def get(self, path: str, parameters: Mapping[str, str], read: Read[T], *, what: str) -> T:
        """Ask for `path` and read the answer; `what` names it in sentences.

        Raises TransientError if no whole answer came within the patience, and the UserErrors of
        refusals.py.
        """
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self._ask(f"{self.url}{path}{query}", read, what)

    def follow(self, url: str, read: Read[T], *, what: str) -> T:
        """Ask for the next page, which the vendor names by its full URL.

        Raises RequestRefused for another host.
        """
        if not self._is_own(url):
            host = urlsplit(url).netloc
            raise RequestRefused(
                f"{self.vendor.name} names its next page at {host}, which is not its own host; "
                f"the key is not "
                "sent there.",
                exit_code=VENDOR_REFUSES,
            )
        return self._ask(url, read, what)

    def _is_own(self, url: str) -> bool:
        asked, own = urlsplit(url), urlsplit(self.url)
        return (asked.scheme, asked.netloc) == (own.scheme, own.netloc)

    def _ask(self, url: str, read: Read[T], what: str) -> T:
        until = self.clock.monotonic() + self.patience.total
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while True:
            self.clock.sleep(self.budget.take(until - self.clock.monotonic()))
            answer = self._try(url, read, what)
            if not isinstance(answer, TransientError):
                return answer
            named = answer.retry_after
            pause = backoff.next_pause() if named is None else named + random.uniform(0.0, JITTER)  # noqa: S311  jitter
            left = until - self.clock.monotonic()
            if backoff.failures >= self.patience.tries or pause > left:
                raise answer
            self.clock.sleep(pause)

    def _try(self, url: str, read: Read[T], what: str) -> T | TransientError:
        """One exchange; a TransientError is returned where another may go better."""
        try:
            reply = self._exchange(url)
        except _Unanswered as error:
            return TransientError(f"{self.vendor.name} does not answer: {error}")
        if reply.status != 200:
            return self._refuse(reply, what)
        try:
            return read(reply.body)
        except Unreadable as error:
            return TransientError(f"{self.vendor.name}'s answer about {what} is not whole: {error}")

    def _refuse(self, reply: Reply, what: str) -> TransientError:
        error = refusal(self.vendor, reply, what)
        if not isinstance(error, TransientError):
            raise error
        pause = pause_after(reply.headers, self.clock.now().timestamp())
        if pause is None and reply.status != 429:
            return error
        if pause is None:
            pause = UNNAMED_PAUSE
        if reply.status == 429:
            self.budget.close(pause)
        return TransientError(str(error), retry_after=pause)

    # --- one exchange -----------------------------------------------------------------------------

    def _exchange(self, url: str) -> Reply:
        session, deadline = self._session()
        deadline.begin(self.patience.exchange)
        timeouts = (self.patience.connect, self.patience.read)
        try:
            with session.get(url, timeout=timeouts, allow_redirects=False, stream=True) as response:
                body = _body(response)
                headers = {name.lower(): text for name, text in response.headers.items()}
                return Reply(response.status_code, headers, body)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _Unanswered(_reason(error)) from error

    def _session(self) -> tuple[requests.Session, Deadline]:
        kept: tuple[requests.Session, Deadline] | None = getattr(self._local, "session", None)
        if kept is None:
            kept = deadline_session()
            kept[0].headers.update(self.headers)
            self._local.session = kept
        return kept


def _body(response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(CHUNK):
        body += chunk
        if len(body) > MAX_BODY:
            raise _Unanswered(f"the answer is longer than {MAX_BODY >> 20} MiB")
    return bytes(body)


def _reason(error: Exception) -> str:
    """The innermost reason in a few words: libraries wrap it several times over."""
    inner: BaseException = error
    while inner.__context__ is not None:
        inner = inner.__context__
    if isinstance(inner, TimeoutError) or "timed out" in str(inner):
        return "no whole answer in time"
    if isinstance(error, Unreached) and not str(inner):
        return "no connection"
    return str(inner) or type(inner).__name__
