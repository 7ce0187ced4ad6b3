"""From a value to an HTTP answer, and from a query to values; what all of the broker's routes share."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.sim_broker.exchange.order import Refusal
from services.sim_broker.exchange.order_validation import BAD_PARAMETER
from services.sim_broker.http import alpaca_json as replies

_MONEY_AS_TEXT = msgspec.json.Encoder()
_MONEY_AS_NUMBER = msgspec.json.Encoder(decimal_format="number")


def said(value: Any, status: int = 200) -> Response:
    return Response(_MONEY_AS_TEXT.encode(value), status, media_type="application/json")


def said_in_numbers(value: Any) -> Response:
    return Response(_MONEY_AS_NUMBER.encode(value), media_type="application/json")


def refused(no: Refusal) -> Response:
    return said(replies.refusal(no), no.status)


def bad(message: str) -> Response:
    return refused(Refusal(422, BAD_PARAMETER, message))


def flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() == "true"


def names(request: Request, name: str) -> list[str]:
    """A comma-separated list of symbols."""
    return [each for each in request.query_params.get(name, "").split(",") if each]


def moment(text: str) -> dt.datetime:
    """A date or an RFC 3339 instant; ValueError when it is neither."""
    found = dt.datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
