"""The auditor as a process of its own beside a real Redis.

Killed again and again, and started twice.
"""

import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from services.auditor.chain.day_files import day_files, whole_lines
from services.auditor.chain.record import open_line
from services.auditor.chain.trust import Trust
from services.auditor.evidence.findings import Verdict
from services.auditor.evidence.verify import verify_folder
from shared.domain.errors import UserError
from shared.runtime.bus.redis_connection import Address, RedisConnection, pairs
from shared.runtime.clock import SystemClock
from shared.runtime.provisioning.streams import init_streams
from shared.runtime.signing import Signer
from shared.schemas.envelope import to_fields
from tests.builders import approval, envelope
from tests.servers import free_port, redis_server

ROOT = Path(__file__).resolve().parents[3]
LIMIT_MIB = 80


class Stack:
    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder, self.audit = folder, folder / "audit"
        self.redis = RedisConnection(Address.parse(redis_url))
        init_streams(self.redis, folder / "marker")
        self.signer = Signer.generate()
        (folder / "signing.key").write_text(self.signer.private_text())
        (folder / "public_keys.json").write_bytes(
            msgspec.json.encode([self.signer.public_key("auditor")])
        )
        self.number, self.port = 0, free_port()
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "KOBE_MODE": "sim",
            "KOBE_REDIS_URL": redis_url,
            "KOBE_AUDIT_DIR": str(self.audit),
            "KOBE_STATE_DIR": str(folder / "state"),
            "KOBE_KILL_FILE": str(folder / "KILL_SWITCH"),
            "KOBE_LOG_DIR": str(folder / "logs"),
            "KOBE_SIGNING_KEY_FILE": str(folder / "signing.key"),
            "KOBE_PUBLIC_KEYS_FILE": str(folder / "public_keys.json"),
            "KOBE_HTTP_PORT": str(self.port),
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        with (self.folder / "out.log").open("ab") as out:
            command = [sys.executable, "-m", "services.auditor"]
            process = subprocess.Popen(
                command, env=self.environment | environment, cwd=ROOT, stdout=out, stderr=out
            )
        self.processes.append(process)
        return process

    def publish(self, count: int) -> None:
        adds = []
        for _ in range(count):
            self.number += 1
            fields = to_fields(envelope(approval(), seq=self.number))
            adds.append(
                ("XADD", "kobe:orders", "*", *(text for pair in fields.items() for text in pair))
            )
        self.redis.ask(*adds)

    def state(self) -> dict[str, str]:
        return pairs(self.redis.one("HGETALL", "kobe:state:auditor"))

    def caught_up(self) -> bool:
        last = self.redis.one("XREVRANGE", "kobe:orders", "+", "-", "COUNT", 1)[0][0]
        return bool(self.state().get("position:orders", "").strip('"') == last)

    def recorded(self) -> list[int]:
        head, numbers = None, []
        for line in whole_lines(self.audit):
            payload, head = open_line(line, head)
            if payload.get("stream") == "kobe:orders":
                numbers.append(payload["seq"])
        return numbers

    def judge(self) -> Verdict:
        return verify_folder(self.audit, trust=Trust(self.signer.public), as_of=SystemClock().now())

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)
        self.redis.close()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with redis_server() as server:
        stack = Stack(tmp_path, server.url)
        try:
            yield stack
        finally:
            stack.close()


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_killed_at_any_moment_it_loses_and_doubles_nothing(stack: Stack) -> None:
    dice = random.Random(54)
    for _ in range(5):
        process = stack.start()
        before = stack.state().get("height", "0")
        stack.publish(dice.randrange(100, 600))
        wait_for(lambda before=before: stack.state().get("height", "0") != before)  # type: ignore[misc]
        stack.publish(dice.randrange(100, 600))
        time.sleep(dice.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    process = stack.start()
    stack.publish(10)
    wait_for(stack.caught_up)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert stack.recorded() == list(range(1, stack.number + 1))
    verdict = stack.judge()
    assert (verdict.exit_code, verdict.sealed) == (0, verdict.height)


def test_a_second_one_on_the_same_chain_ends_with_a_sentence(stack: Stack) -> None:
    stack.start()
    stack.publish(10)
    wait_for(stack.caught_up)
    second = stack.start(KOBE_HTTP_PORT="0")
    assert second.wait(10) == 1
    assert "Another auditor writes into" in (stack.folder / "out.log").read_text()
    stack.publish(10)
    wait_for(stack.caught_up)
    assert stack.judge().exit_code == 0


def test_it_stays_small_and_says_how_it_stands(stack: Stack) -> None:
    process = stack.start()
    stack.publish(2000)
    wait_for(stack.caught_up)
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    assert resident < LIMIT_MIB * 1024
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.port}/metrics") as answer:
        text = answer.read().decode()
    height = len(list(whole_lines(stack.audit)))
    assert f'kobe_audit_chain_height{{service="auditor"}} {height}.0' in text
    assert "kobe_audit_lag_seconds" in text
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.port}/readiness") as answer:
        assert answer.status == 200


def test_a_cut_of_what_was_said_to_be_there_stops_it_with_a_code_of_its_own(stack: Stack) -> None:
    process = stack.start()
    stack.publish(10)
    wait_for(stack.caught_up)
    process.kill()
    process.wait(10)
    (file,) = day_files(stack.audit)
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-3]))
    again = stack.start()
    assert again.wait(20) == 70
    assert "invariant_broken" in (stack.folder / "out.log").read_text()


def test_the_chain_can_be_verified_while_it_grows(stack: Stack) -> None:
    with pytest.raises(UserError):
        stack.judge()
    stack.start()
    stack.publish(1)
    wait_for(stack.caught_up)
    codes = set()
    while not (stack.number > 3000 and stack.caught_up()):
        if stack.number <= 3000:
            stack.publish(100)
        codes.add(stack.judge().exit_code)
    assert codes <= {0, 9}
