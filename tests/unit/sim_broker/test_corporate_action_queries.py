"""GET /v1/corporate-actions and the account's activities answer the queries a client may make."""

from __future__ import annotations

from tests.unit.sim_broker.bar_table import DAYS
from tests.unit.sim_broker.broker_server import Wire

SPLIT = {"kind": "split", "symbol": "AAPL", "new": "2", "session": str(DAYS[3])}
RENAME = {"kind": "rename", "symbol": "IBM", "new_symbol": "BIM", "session": str(DAYS[5])}


def found(broker: Wire, **query: str) -> dict[str, int]:
    reply = broker("GET", "/v1/corporate-actions", **query)
    assert reply.status_code == 200
    groups: dict[str, list[object]] = reply.json()["corporate_actions"]
    return {kind: len(rows) for kind, rows in groups.items()}


def test_corporate_actions_are_found_by_date_symbol_and_type_before_and_after_they_happen(
    broker: Wire,
) -> None:
    broker.advance(2, "open")
    broker("POST", "/sim/faults", [SPLIT, RENAME])
    for day in (2, 7):
        broker.advance(day, "mark")
        assert found(broker) == {"forward_splits": 1, "name_changes": 1}
        assert found(broker, symbols="BIM,NONE") == {"name_changes": 1}
        assert found(broker, types="forward_split") == {"forward_splits": 1}
        assert found(broker, start=str(DAYS[4])) == {"name_changes": 1}
        assert found(broker, end=str(DAYS[2])) == {}
    assert broker("GET", "/v1/corporate-actions", start="soon").status_code == 422


def test_an_action_that_is_called_off_is_no_longer_announced(broker: Wire) -> None:
    broker.advance(2, "open")
    (scheduled,) = broker("POST", "/sim/faults", SPLIT).json()
    broker("DELETE", f"/sim/faults/{scheduled['id']}")
    assert found(broker) == {}


def test_activities_are_paged_filtered_and_ordered(broker: Wire) -> None:
    broker.advance(2, "open")
    broker.buy()
    for amount in ("100", "-40", "7"):
        broker("POST", "/sim/faults", {"kind": "transfer", "amount": amount})
    path = "/v2/account/activities"
    newest = broker("GET", path).json()
    assert [each["activity_type"] for each in newest] == ["CSD", "CSW", "CSD", "FILL"]
    assert [each["net_amount"] for each in broker("GET", f"{path}/CSD").json()] == ["7", "100"]
    assert len(broker("GET", path, activity_types="CSW,FILL").json()) == 2
    oldest = broker("GET", path, direction="asc").json()
    assert oldest == newest[::-1]
    page = broker("GET", path, page_size="2").json()
    assert page == newest[:2]
    assert broker("GET", path, page_size="2", page_token=page[-1]["id"]).json() == newest[2:]
    assert broker("GET", path, page_size="0").status_code == 422


def test_an_exchange_that_stays_shut_is_missing_in_the_calendar_and_its_clock_is_closed(
    broker: Wire,
) -> None:
    broker.advance(2, "mark")
    broker("POST", "/sim/faults", {"kind": "closure", "session": str(DAYS[2])})
    dates = [each["date"] for each in broker("GET", "/v2/calendar").json()]
    assert str(DAYS[2]) in dates
    broker.advance(3, "open")
    dates = [each["date"] for each in broker("GET", "/v2/calendar").json()]
    assert str(DAYS[2]) not in dates
    clock = broker("GET", "/v2/clock").json()
    assert (clock["is_open"], clock["next_open"][:10]) == (False, str(DAYS[3]))
