"""The compose stack as a new user meets it.

Green, trading, killable, restart-safe, watched, provable.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from typing import Any

import pytest

from tests.e2e.conftest import PORTS, PROJECT, ROOT, SERVICES, Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(1800)]

ORDERS_OF_BROKER = """
import json, requests
keys = {"APCA-API-KEY-ID": "sim", "APCA-API-SECRET-KEY": "sim"}
url = "http://sim-broker:8000/v2/orders?status=all&limit=500"
found = [order["client_order_id"] for order in requests.get(url, headers=keys, timeout=10).json()]
print(json.dumps([name for name in found if name.startswith("k81-")]))
"""
KILL_THE_SERVICE = """
import os, pathlib, signal
for p in pathlib.Path("/proc").iterdir():
    if not p.name.isdigit() or int(p.name) in (1, os.getpid()):
        continue
    if b"services.executor" in (p / "cmdline").read_bytes():
        os.kill(int(p.name), signal.SIGKILL)
"""


def prometheus(path: str) -> Any:
    url = f"http://127.0.0.1:{PORTS['KOBE_PROMETHEUS_PORT']}/api/v1/{path}"
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.loads(reply.read())["data"]


def measured(expression: str) -> float:
    found = prometheus(f"query?query={expression}")["result"]
    return float(found[0]["value"][1]) if found else 0.0


def fills(stack: Stack) -> int:
    return sum(
        order["state"] == "FILLED" for order in stack.kobe("orders", "--recent", "200")["orders"]
    )


def test_every_healthcheck_turns_green(stack: Stack) -> None:
    wait_until(
        lambda: all(stack.health().get(name) == "healthy" for name in ("redis", *SERVICES)),
        "all healthy",
    )


def test_orders_flow_from_bars_to_fills(stack: Stack) -> None:
    wait_until(lambda: fills(stack) >= 2, "two filled orders", 240)
    status = stack.kobe("status")
    assert not status["halted"]
    assert status["chain_height"] > 0
    assert status["dead_letters"] == 0


def test_prometheus_scrapes_every_service_and_knows_the_rules(stack: Stack) -> None:
    def all_up() -> bool:
        targets = [
            t
            for t in prometheus("targets")["activeTargets"]
            if t["labels"]["job"].startswith("kobe")
        ]
        up = {t["labels"]["kobe_service"] for t in targets if t["health"] == "up"}
        return up == {*SERVICES, "witness"}

    wait_until(all_up, "every service scraped")
    names = {rule["name"] for group in prometheus("rules")["groups"] for rule in group["rules"]}
    assert {"KobeServiceDown", "KobeKillActive", "KobeDeadLetters", "KobeOrderUnknown"} <= names
    assert measured("kobe_audit_chain_height") > 0


def test_a_killed_executor_comes_back_without_a_doubled_order(stack: Stack) -> None:
    before = len(json.loads(stack.python("executor", ORDERS_OF_BROKER)))
    for _ in range(3):
        stack.compose("exec", "-T", "executor", "python", "-c", KILL_THE_SERVICE, check=False)
        time.sleep(2)
        wait_until(
            lambda: stack.health().get("executor") == "healthy", "the executor healthy again"
        )

    def orders() -> list[str]:
        found: list[str] = json.loads(stack.python("executor", ORDERS_OF_BROKER))
        return found

    wait_until(lambda: len(orders()) > before, "orders after the restart", 240)
    ids = orders()
    assert len(ids) == len(set(ids))
    assert not stack.kobe("status")["halted"]


def test_a_publish_stops_new_exposure_and_positions_keep_their_protection(stack: Stack) -> None:
    heard = int(stack.redis("kill", "PUBLISH", "kobe:kill", "a drill"))
    assert heard >= 6
    wait_until(lambda: stack.kobe("status")["halted"], "halted", 20)
    time.sleep(5)
    entered = measured('sum(kobe_executor_fills_total{purpose="entry"})')
    time.sleep(20)
    assert measured('sum(kobe_executor_fills_total{purpose="entry"})') == entered
    assert all(position["protected"] for position in stack.kobe("positions")["positions"])
    wait_until(lambda: measured("max(kobe_halted)") == 1, "the metric says halted", 30)


def resume(stack: Stack, why: str) -> None:
    """Every service writes the kill into the log, so its end may move once more; look again."""

    def is_clear() -> bool:
        answer = stack.kobe("resume", why, "--seen", stack.kobe("status")["kill_id"])
        return "cleared" in answer and not (answer.get("outcome") or {}).get("halted")

    wait_until(is_clear, "resumed", 60)


def test_the_kill_outlives_a_restart_and_resume_clears_it(stack: Stack) -> None:
    stack.compose("restart", "redis", "risk-gate", "executor")
    wait_until(lambda: stack.health().get("executor") == "healthy", "the executor healthy again")
    assert stack.kobe("status")["halted"]
    resume(stack, "the drill is over")
    wait_until(lambda: not stack.kobe("status")["halted"], "running", 20)


def test_a_touched_file_halts_and_does_so_until_it_is_gone_and_resumed(stack: Stack) -> None:
    kill_file = ROOT / "state" / "KILL_SWITCH"
    kill_file.touch()
    try:
        wait_until(lambda: stack.kobe("status")["halted"], "halted", 20)
    finally:
        kill_file.unlink()
    resume(stack, "the file is gone")
    wait_until(lambda: not stack.kobe("status")["halted"], "running", 20)
    wait_until(lambda: measured("max(kobe_halted)") == 0, "the metric says running", 30)


def test_a_second_signal_engine_stands_by_and_does_no_harm(stack: Stack) -> None:
    stack.compose("up", "--detach", "--no-recreate", "--scale", "signal-engine=2", "signal-engine")
    height = stack.kobe("status")["chain_height"]
    wait_until(lambda: stack.kobe("status")["chain_height"] > height + 20, "the chain grows on")
    ids = json.loads(stack.python("executor", ORDERS_OF_BROKER))
    assert len(ids) == len(set(ids))
    stack.compose("up", "--detach", "--no-recreate", "--scale", "signal-engine=1", "signal-engine")


def test_the_chain_verifies(stack: Stack) -> None:
    assert stack.kobe("audit", "verify")["exit_code"] == 0


def test_the_witness_has_countersigned_what_the_auditor_sealed(stack: Stack) -> None:
    look = "print(open('/state/witnessed.notes').read().count('kobe81'))"
    wait_until(lambda: int(stack.python("witness", look)) > 0, "a countersigned checkpoint", 60)


def test_every_container_of_ours_is_hardened(stack: Stack) -> None:
    for name in SERVICES:
        found = stack.compose("ps", "-q", name).split()[0]
        inspected = subprocess.run(
            ["docker", "inspect", found], capture_output=True, text=True, check=True
        )
        host = json.loads(inspected.stdout)[0]["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["PidsLimit"], name
        assert host["Memory"], name
        assert stack.python(name, "import os; print(os.getuid())") != "0"
        mounts = {mount["Destination"] for mount in json.loads(inspected.stdout)[0]["Mounts"]}
        assert not any("docker.sock" in mount for mount in mounts)


def test_the_image_is_no_larger_than_promised() -> None:
    shown = subprocess.run(
        ["docker", "image", "inspect", "kobe81:local", "-f", "{{.Size}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(shown.stdout) <= 900 * 1024 * 1024, f"{PROJECT}: {int(shown.stdout) >> 20} MiB"
