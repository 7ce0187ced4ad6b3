"""Everything the chain holds about one decision, in order: bars, signal, quote, verdict, fills.

Called by `kobe audit explain`. Reads the chain twice, keeps only what concerns the decision, judges
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from services.auditor.chain.day_files import whole_lines
from shared.domain.errors import UserError
from shared.schemas.messages import (
    BarsReady,
    OrderApproved,
    OrderDenied,
    QuotesRequested,
    QuotesSeen,
    ScanCompleted,
    ScanDecided,
)

DECISIONS = {OrderApproved.__name__, OrderDenied.__name__}
OF_THE_SCAN = {
    kind.__name__ for kind in (BarsReady, ScanCompleted, QuotesSeen, QuotesRequested, ScanDecided)
}
# What a scan says of many symbols, cut to the one the decision is about.
_LISTS = ("signals", "exits", "quotes", "unquoted", "universe", "stale", "symbols")


class StoryStep(msgspec.Struct, frozen=True, kw_only=True):
    """One record: its place in the chain, its writer and digests, what it says of the decision."""

    index: int
    at: str
    writer: str
    type: str
    config_pin: str
    code_digest: str
    facts: dict[str, Any]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    decision_id: str
    symbol: str
    scan_id: str
    approved: bool
    steps: tuple[StoryStep, ...]


def explain(folder: Path, decision_id: str) -> Explanation:
    """`decision_id` as the gate gave it. Raises UserError if the chain holds no such decision."""
    decision = _decision(folder, decision_id)
    data = _data(decision)
    symbol, scan_id = data["symbol"], data["scan_id"]
    names = [name for name in (decision_id, data.get("client_order_id", "")) if name]
    return Explanation(
        decision_id=decision_id,
        symbol=symbol,
        scan_id=scan_id,
        approved=decision["type"] == OrderApproved.__name__,
        steps=tuple(_steps(folder, names, symbol, scan_id)),
    )


def _decision(folder: Path, decision_id: str) -> Mapping[str, Any]:
    for _, message in _messages(folder, [decision_id.encode()]):
        if message.get("type") in DECISIONS and _data(message).get("decision_id") == decision_id:
            return message
    raise UserError(
        f"The chain in {folder} holds no decision {decision_id!r}; `kobe orders` lists them."
    )


def _steps(folder: Path, names: list[str], symbol: str, scan_id: str) -> Iterator[StoryStep]:
    for index, message in _messages(folder, [name.encode() for name in (*names, scan_id)]):
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
            at=message["at"],
            writer=message["writer"],
            type=message["type"],
            config_pin=message["config_pin"],
            code_digest=message["code_digest"],
            facts=facts,
        )


def _messages(folder: Path, wanted: list[bytes]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(index, message fields) of the records in which one of the texts stands."""
    for index, line in enumerate(whole_lines(folder)):
        if any(text in line for text in wanted):
            try:
                message = msgspec.json.decode(line)["payload"].get("message")
            except (msgspec.DecodeError, KeyError) as error:
                raise UserError(
                    f"Record {index} cannot be read ({error}); see `kobe audit verify`."
                ) from error
            if message and "data" in message:
                yield index, message


def _data(message: Mapping[str, Any]) -> dict[str, Any]:
    data = msgspec.json.decode(message["data"])
    return data if isinstance(data, dict) else {}


def _cut_to(symbol: str, data: dict[str, Any]) -> dict[str, Any]:
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
