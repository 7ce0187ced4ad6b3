"""Everything the chain holds about one decision, in order: bars, signal, quote, verdict, fills.

Called by `kobe audit explain`. Finds the records by the chain's index; judges nothing.
"""

from collections.abc import Iterator

import msgspec

from services.auditor.evidence.chain_index import OF_THE_SCAN
from services.auditor.evidence.indexed_chain import IndexedChain
from shared.domain.errors import UserError
from shared.schemas.json_types import JsonMapping, JsonObject
from shared.schemas.messages import OrderApproved, OrderDenied

DECISIONS = {OrderApproved.__name__, OrderDenied.__name__}
# What a scan says of many symbols, cut to the one the decision is about.
_LISTS = ("signals", "exits", "quotes", "unquoted", "universe", "stale", "symbols")


class StoryStep(msgspec.Struct, frozen=True, kw_only=True):
    """One record: its place in the chain, its writer and digests, what it says of the decision.

    `is_sealed` says that a checkpoint covers it.
    """

    index: int
    is_sealed: bool
    at: str
    writer: str
    type: str
    config_pin: str
    code_digest: str
    facts: JsonObject


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    decision_id: str
    symbol: str
    scan_id: str
    approved: bool
    steps: tuple[StoryStep, ...]


def explain(chain: IndexedChain, decision_id: str) -> Explanation:
    """`decision_id` as the gate gave it, from a chain whose index is up to date.

    Raises UserError if the chain holds no such decision.
    """
    decision = _decision(chain, decision_id)
    data = _data(decision)
    symbol, scan_id = data["symbol"], data["scan_id"]
    names = [name for name in (decision_id, data.get("client_order_id", "")) if name]
    return Explanation(
        decision_id=decision_id,
        symbol=symbol,
        scan_id=scan_id,
        approved=decision["type"] == OrderApproved.__name__,
        steps=tuple(_steps(chain, names, symbol, scan_id)),
    )


def _decision(chain: IndexedChain, decision_id: str) -> JsonMapping:
    for _, message in _messages(chain, [decision_id]):
        if message.get("type") in DECISIONS and _data(message).get("decision_id") == decision_id:
            return message
    raise UserError(
        f"The chain in {chain.folder} holds no decision {decision_id!r}; `kobe orders` lists them."
    )


def _steps(chain: IndexedChain, names: list[str], symbol: str, scan_id: str) -> Iterator[StoryStep]:
    sealed = chain.sealed
    for index, message in _messages(chain, [*names, scan_id]):
        if message.get("type") in OF_THE_SCAN:
            if message.get("correlation_id") != scan_id:
                continue
            facts = _cut_to(symbol, _data(message))
        else:
            facts = _data(message)
            if not any(name in facts.values() for name in names):
                continue
        yield StoryStep(
            index=index,
            is_sealed=index < sealed,
            at=message["at"],
            writer=message["writer"],
            type=message["type"],
            config_pin=message["config_pin"],
            code_digest=message["code_digest"],
            facts=facts,
        )


def _messages(chain: IndexedChain, names: list[str]) -> Iterator[tuple[int, JsonMapping]]:
    """(index, message fields) of the records that speak of one of the names."""
    for index, line in chain.records(names):
        yield index, msgspec.json.decode(line)["payload"]["message"]


def _data(message: JsonMapping) -> JsonObject:
    data = msgspec.json.decode(message["data"])
    return data if isinstance(data, dict) else {}


def _cut_to(symbol: str, data: JsonObject) -> JsonObject:
    of_symbol = {
        name: [
            item
            for item in data[name]
            if item == symbol or (isinstance(item, dict) and item["symbol"] == symbol)
        ]
        for name in _LISTS
        if isinstance(data.get(name), list)
    }
    return {**data, **of_symbol}
