"""The simulation is controlled and observed over HTTP: stages, resets, requests, probes."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.sim_broker.broker_server import Wire


def test_every_request_is_kept_with_its_time_and_status(broker: Wire) -> None:
    broker.advance(2, "open")
    broker.buy("k81-kept")
    broker("GET", "/v2/orders/fake_id")
    seen = broker("GET", "/sim/requests").json()
    assert [(each["method"], each["path"], each["status"]) for each in seen] == [
        ("POST", "/v2/orders", 200),
        ("GET", "/v2/orders/fake_id", 422),
    ]
    assert "k81-kept" in seen[0]["body"]
    assert seen[0]["at"] <= seen[1]["at"]
    assert len(broker("GET", "/sim/requests", after=str(seen[0]["n"])).json()) == 1


def test_state_tells_where_the_simulation_stands(broker: Wire) -> None:
    assert broker("GET", "/sim/state").json()["stage"] is None
    broker.advance(2, "open")
    broker.buy()
    broker.protect()
    state = broker("GET", "/sim/state").json()
    assert (state["session"], state["stage"], state["cash"]) == ("2024-01-03", "open", "99399.7")
    assert (state["equity"], state["orders"], state["open_orders"], state["fills"]) == (
        "99999.7",
        3,
        2,
        1,
    )
    assert state["positions"] == {"AAPL": 6}
    assert state["sessions"] == {"first": "2024-01-02", "last": "2024-01-18", "count": 12}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"session": "2024-01-02", "stage": "mark"}, 409),
        ({"session": "2024-01-06", "stage": "open"}, 422),
        ({"session": "2024-01-04", "stage": "noon"}, 422),
        ({}, 422),
    ],
)
def test_a_wrong_advance_is_refused_and_changes_nothing(
    broker: Wire, body: dict[str, str], status: int
) -> None:
    broker.advance(2, "open")
    assert broker("POST", "/sim/advance", body).status_code == status
    assert broker("GET", "/sim/state").json()["stage"] == "open"


def test_reset_over_http_counts_accounts_on(broker: Wire) -> None:
    broker.advance(3, "open")
    assert broker("POST", "/sim/reset").json()["account_number"] == "SIM000002"
    assert (
        broker("POST", "/sim/reset", {"account_number": "SIM-X7"}).json()["account_number"]
        == "SIM-X7"
    )
    broker.advance(2, "open")


def test_suspending_the_account_stops_orders_until_lifted(broker: Wire) -> None:
    broker.advance(2, "open")
    assert (
        broker("PATCH", "/v2/account/configurations", {"suspend_trade": True}).json()[
            "suspend_trade"
        ]
        is True
    )
    assert broker.buy().status_code == 403
    assert broker("GET", "/v2/account").json()["trade_suspended_by_user"] is True
    broker("PATCH", "/v2/account/configurations", {"suspend_trade": False})
    assert broker.buy().status_code == 200


def test_probes_and_metrics_answer_without_keys(broker: Wire) -> None:
    broker.advance(2, "open")
    broker.buy()
    broker.http.headers.clear()
    assert broker("GET", "/liveness").json() == {"alive": True}
    assert broker("GET", "/readiness").json() == {"ready": True, "reasons": []}
    families = {
        each.name: each for each in text_string_to_metric_families(broker("GET", "/metrics").text)
    }
    assert families["kobe_sim_fills"].samples[0].value == 1
    assert families["kobe_sim_requests"].samples[0].labels["status"] == "200"
