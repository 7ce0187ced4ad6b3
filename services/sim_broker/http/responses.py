"""Values to HTTP responses and query parameters to values; shared by the broker's routes."""

import datetime as dt
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.sim_broker.exchange.order import OrderRefusal
from services.sim_broker.exchange.order_validation import BAD_PARAMETER
from services.sim_broker.http import account_json as replies

MALFORMED = OrderRefusal(400, 40010000, "request body format is invalid")
_MONEY_AS_TEXT = msgspec.json.Encoder()
_MONEY_AS_NUMBER = msgspec.json.Encoder(decimal_format="number")


def as_json(value: Any, status: int = 200) -> Response:
    return Response(_MONEY_AS_TEXT.encode(value), status, media_type="application/json")


def as_json_numbers(value: Any) -> Response:
    return Response(_MONEY_AS_NUMBER.encode(value), media_type="application/json")


def as_refusal(refused: OrderRefusal) -> Response:
    return as_json(replies.refusal(refused), refused.status)


def bad_request(message: str) -> Response:
    return as_refusal(OrderRefusal(422, BAD_PARAMETER, message))


def query_flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() == "true"


def query_names(request: Request, name: str) -> list[str]:
    """Split a comma-separated parameter."""
    return [each for each in request.query_params.get(name, "").split(",") if each]


def parse_instant(text: str) -> dt.datetime:
    """Parse a date or an RFC 3339 instant. Raises ValueError if it is neither."""
    found = dt.datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
