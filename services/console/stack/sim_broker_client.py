"""The simulated broker's own account of a run: every order and every position.

Called by the demo and tests, to compare with ours.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import requests

from shared.domain.errors import TransientError, UserError
from shared.domain.trading.ids import is_ours
from shared.schemas.json_types import JsonMapping, JsonObject

PAGE = 500
"""The most that Alpaca gives at a time."""


class SimBrokerClient:
    """Reads with the keys that the simulated broker accepts from anyone on this machine."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.headers.update({"APCA-API-KEY-ID": "sim", "APCA-API-SECRET-KEY": "sim"})

    def _get(self, path: str, **parameters: str) -> Any:
        try:
            reply = self._session.get(self._url + path, params=parameters, timeout=10)
            reply.raise_for_status()
        except requests.RequestException as error:
            raise TransientError(f"the simulated broker does not answer: {error}") from error
        return reply.json()

    def positions(self) -> dict[str, Decimal]:
        return {row["symbol"]: Decimal(row["qty"]) for row in self._get("/v2/positions")}

    def equity(self) -> Decimal:
        return Decimal(self._get("/v2/account")["equity"])

    def state(self) -> JsonObject:
        state: JsonObject = self._get("/sim/state")
        return state

    def faults(self) -> list[JsonObject]:
        """The scheduled faults and events, each with its id."""
        return self._control("GET", "/sim/faults")

    def add_fault(self, fault: Mapping[str, object]) -> list[JsonObject]:
        """Schedule a fault. Raises UserError if the broker refuses it."""
        return self._control("POST", "/sim/faults", fault)

    def clear_faults(self, fault_id: str = "") -> list[JsonObject]:
        """Clear one fault, or all; what is left. Raises UserError if there is none of that id."""
        return self._control("DELETE", f"/sim/faults/{fault_id}".rstrip("/"))

    def _control(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> list[JsonObject]:
        try:
            reply = self._session.request(method, self._url + path, json=body, timeout=10)
        except requests.RequestException as error:
            raise TransientError(f"the simulated broker does not answer: {error}") from error
        if reply.status_code in (404, 405) and "message" not in reply.text:
            raise UserError(
                "This broker takes no faults: only one simulated with KOBE_TEST=1 does."
            )
        if not reply.ok:
            raise UserError(f"The simulated broker refuses: {_message(reply)}.")
        faults: list[JsonObject] = reply.json()
        return faults

    def orders(self) -> list[JsonObject]:
        """Every order ever accepted, oldest first."""
        found: dict[str, JsonObject] = {}
        after = ""
        while True:
            page = self._get(
                "/v2/orders", status="all", limit=str(PAGE), direction="asc", after=after
            )
            fresh = [order for order in page if order["id"] not in found]
            found.update({order["id"]: order for order in fresh})
            if len(page) < PAGE or not fresh:
                return list(found.values())
            after = page[-1]["submitted_at"]


def _message(reply: requests.Response) -> str:
    try:
        return str(reply.json()["message"]).rstrip(".")
    except (ValueError, KeyError, TypeError):
        return f"status {reply.status_code}"


def count_duplicates(orders: Iterable[JsonMapping], sent: Iterable[str]) -> int:
    """Orders beyond those we sent, and ids used twice: must be zero."""
    ids = Counter(order["client_order_id"] for order in orders if is_ours(order["client_order_id"]))
    known = set(sent)
    return sum(count - 1 for count in ids.values()) + sum(1 for name in ids if name not in known)
