"""The compose files and the monitoring rules, without starting anything."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.requirements import Requirement, require

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "compose" / "monitoring"
OURS = (
    "scheduler",
    "data-fetcher",
    "signal-engine",
    "risk-gate",
    "executor",
    "auditor",
    "sim-broker",
)


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


def compose_answers() -> bool:
    """Report whether the docker command is there with its compose plug-in."""
    if shutil.which("docker") is None:
        return False
    command = ["docker", "compose", "version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", OURS)
def test_every_service_sees_its_own_secrets_and_no_others(name: str) -> None:
    volumes = compose()["services"][name]["volumes"]
    assert [volume for volume in volumes if volume.startswith("secrets-")] == [
        f"secrets-{name}:/run/kobe/secrets:ro"
    ]


def test_every_volume_has_one_writer() -> None:
    writers: dict[str, list[str]] = {}
    for name, service in compose()["services"].items():
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            if not rest.endswith(":ro") and not source.startswith("."):
                writers.setdefault(source, []).append(name)
    shared = {volume: names for volume, names in writers.items() if len(names) > 1}
    assert not shared


def test_ports_are_published_on_loopback_only() -> None:
    ports = [
        port for service in compose()["services"].values() for port in service.get("ports", [])
    ]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_only_the_data_fetcher_and_the_executor_reach_the_outside_for_their_vendor() -> None:
    document = compose()
    egress = {
        name: set(service["networks"]) & {"data-egress", "broker-egress"}
        for name, service in document["services"].items()
        if "networks" in service
    }
    assert egress["risk-gate"] == egress["signal-engine"] == egress["auditor"] == set()
    assert document["networks"]["bus"]["internal"] is True


def test_no_network_of_the_sim_stack_but_the_door_reaches_the_outside() -> None:
    networks = compose()["networks"]
    outside = {name for name, options in networks.items() if not options.get("internal")}
    assert outside == {"door", "research-door"}
    at_the_door = {
        name
        for name, service in compose()["services"].items()
        if outside & set(service.get("networks", []))
    }
    assert not at_the_door & set(OURS)


@pytest.mark.parametrize("name", [*OURS, "witness"])
def test_every_service_reads_the_users_file_and_strategies_and_logs_to_a_volume(name: str) -> None:
    service = compose()["services"][name]
    assert service["environment"]["KOBE_CONFIG"] == "/etc/kobe/kobe.toml"
    assert {
        "./compose:/etc/kobe:ro",
        "./strategies:/app/strategies:ro",
        f"logs-{name}:/logs/{name}",
    } <= set(service["volumes"])


def test_sim_paper_and_live_publish_different_ports() -> None:
    require(Requirement.COMPOSE, found=compose_answers())
    published = [
        port["published"]
        for files in ([], ["-f", "compose/paper.yml"], ["-f", "compose/live.yml"])
        for service in rendered("docker-compose.yml", *files)["services"].values()
        for port in service.get("ports", [])
    ]
    assert len(published) == len(set(published)) == 12


def rendered(file: str, *more: str) -> dict[str, Any]:
    """What docker compose makes of the files."""
    command = ["docker", "compose", "-f", file, *more, "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_the_overlays_open_only_what_vendor_and_broker_need(mode: str) -> None:
    require(Requirement.COMPOSE, found=compose_answers())
    networks = rendered("docker-compose.yml", "-f", f"compose/{mode}.yml")["networks"]
    outside = {name for name, options in networks.items() if not options.get("internal")}
    assert outside == {"door", "data-egress", "broker-egress"}


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_the_overlays_render(mode: str) -> None:
    require(Requirement.COMPOSE, found=compose_answers())
    services = rendered("docker-compose.yml", "-f", f"compose/{mode}.yml")["services"]
    assert services["executor"]["environment"]["KOBE_MODE"] == mode
    assert "sim-broker" not in services["executor"]["environment"].get("KOBE_BROKER_URL", "")
    assert "sim-broker" not in services


def test_the_alert_rules_hold_what_their_tests_say() -> None:
    require(Requirement.PROMTOOL)
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            ["promtool", *command], cwd=MONITORING, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test() -> None:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    tested = {
        case["alertname"]
        for test in yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    }
    assert {rule["alert"] for rule in rules} == tested


def test_the_dashboard_asks_the_provisioned_source() -> None:
    dashboard = json.loads((MONITORING / "grafana/dashboards/kobe.json").read_text())
    source = yaml.safe_load(
        (MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    uid = source["datasources"][0]["uid"]
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {uid}
