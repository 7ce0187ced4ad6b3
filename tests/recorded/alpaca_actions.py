"""Corporate actions as Alpaca writes them: the kind, the symbols it is found by, and the row."""

from __future__ import annotations

import datetime as dt
import uuid

from shared.schemas.corporate_actions import Ended
from tests.recorded.market import RecordedMarket
from tests.recorded.replies import Json


def written_actions(market: RecordedMarket) -> list[tuple[str, set[str], Json]]:
    found: list[tuple[str, set[str], Json]] = []
    for split in market.splits:
        forward = split.new > split.old
        row = _action("split", split.symbol, split.ex_date) | {
            "symbol": split.symbol,
            "new_rate": float(split.new),
            "old_rate": float(split.old),
            "ex_date": split.ex_date.isoformat(),
        }
        row |= {"cusip": "0"} if forward else {"new_cusip": "1", "old_cusip": "0"}
        kind = "forward_splits" if forward else "reverse_splits"
        found.append((kind, {split.symbol}, row))
    for dividend in market.dividends:
        row = _action("dividend", dividend.symbol, dividend.ex_date) | {
            "symbol": dividend.symbol,
            "cusip": "0",
            "rate": float(dividend.amount),
            "special": False,
            "foreign": False,
            "ex_date": dividend.ex_date.isoformat(),
        }
        found.append(("cash_dividends", {dividend.symbol}, row))
    for rename in market.renames:
        row = _action("rename", rename.new, rename.date) | {
            "old_symbol": rename.old,
            "new_symbol": rename.new,
            "old_cusip": "0",
            "new_cusip": "1",
        }
        found.append(("name_changes", {rename.old, rename.new}, row))
    for removal in market.removals:
        if removal.why is Ended.WORTHLESS:
            row = _action("removal", removal.symbol, removal.date) | {
                "symbol": removal.symbol,
                "cusip": "0",
            }
            found.append(("worthless_removals", {removal.symbol}, row))
        else:
            row = _action("merger", removal.symbol, removal.date) | {
                "acquiree_symbol": removal.symbol,
                "acquiree_cusip": "0",
                "rate": 10.0,
                "effective_date": removal.date.isoformat(),
            }
            found.append(("cash_mergers", {removal.symbol}, row))
    return found


def _action(kind: str, symbol: str, date: dt.date) -> Json:
    return {"id": uuid_of(kind, f"{symbol}{date}"), "process_date": date.isoformat()}


def uuid_of(kind: str, text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{text}"))
