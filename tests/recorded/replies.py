"""What the routes of both recorded vendors share.

JSON answers, pages with cursors, dates out of a query.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

T = TypeVar("T")
Json = dict[str, Any]


def answer(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def day(text: str) -> dt.date:
    """YYYY-MM-DD, an RFC 3339 instant, or milliseconds since the epoch, as a date in New York."""
    from tests.recorded.market import NEW_YORK

    if text.isdigit():
        return dt.datetime.fromtimestamp(int(text) / 1000, NEW_YORK).date()
    if len(text) == len("2020-01-01"):
        return dt.date.fromisoformat(text)
    moment = dt.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(NEW_YORK).date()


def cursor(values: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(dict(values))).decode()


def uncursor(text: str) -> dict[str, str]:
    values: dict[str, str] = msgspec.json.decode(base64.urlsafe_b64decode(text))
    return values


def query(request: Request) -> dict[str, str]:
    """The parameters, those inside a cursor among them."""
    values = dict(request.query_params)
    token = values.pop("cursor", "") or values.pop("page_token", "")
    return {**values, **(uncursor(token) if token else {})}


def page(items: Sequence[T], values: Mapping[str, str], limit: int) -> tuple[Sequence[T], str]:
    """The items of this page, and the cursor of the next; "" where there is none."""
    start = int(values.get("skip", "0"))
    shown = items[start : start + limit]
    more = start + limit < len(items)
    return shown, cursor({**values, "skip": str(start + limit)}) if more else ""


def within(date: dt.date, values: Mapping[str, str], name: str) -> bool:
    """Whether a date passes `name`, `name.gte`, `name.gt`, `name.lte` and `name.lt`.

    As far as they are given.
    """
    bounds = {
        suffix: values.get(f"{name}{suffix}") for suffix in ("", ".gte", ".gt", ".lte", ".lt")
    }
    text = date.isoformat()
    return all(
        bound is None
        or {
            "": text == bound,
            ".gte": text >= bound,
            ".gt": text > bound,
            ".lte": text <= bound,
            ".lt": text < bound,
        }[suffix]
        for suffix, bound in bounds.items()
    )
