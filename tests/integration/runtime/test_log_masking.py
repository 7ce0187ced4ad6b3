"""No secret leaves a process through its log: a real process, every way a line can come about."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "s3cret-canary/+='\"\\ä"
PROGRAM = """
import logging, os, sys, threading, warnings
import structlog
from shared.runtime.config.settings import load_settings
from shared.runtime.observability.log import configure_logging, logger

configure_logging(load_settings(os.environ), "executor")
secret = os.environ["ALPACA_API_SECRET_KEY"]
password = open(os.environ["KOBE_REDIS_PASSWORD_FILE"]).read().strip()
logger().info("field", key=secret)
logger().info("nested", deep={"a": [{"b": (secret, password)}]})
logger().info("inside " + secret, error=repr(ValueError(secret)))
structlog.get_logger().warning("other", bytes=secret.encode())
logging.getLogger("urllib3.connectionpool").error("GET /%s", secret)
logging.getLogger("uvicorn.error").error("x", extra={"header": secret})
warnings.warn(secret)
try:
    raise RuntimeError(secret)
except RuntimeError:
    logger().critical("traceback", exc_info=True)
    logging.getLogger("foreign").exception("foreign traceback")
thread = threading.Thread(target=lambda: {}[secret], name="worker")
thread.start()
thread.join()
raise SystemExit if len(sys.argv) > 1 else KeyError(secret)
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """stdout, stderr, and the file."""
    folder = tmp_path_factory.mktemp("logs")
    (folder / "password").write_text("redis-canary-password\n")
    environ = {
        "PYTHONPATH": os.environ.get("PYTHONPATH", str(Path.cwd())),
        "ALPACA_API_SECRET_KEY": SECRET,
        "KOBE_REDIS_PASSWORD_FILE": str(folder / "password"),
        "KOBE_LOG_DIR": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, check=False
    )
    return done.stdout, done.stderr, (folder / "executor" / "events.jsonl").read_text()


def test_neither_stream_nor_file_holds_a_secret_in_any_spelling(
    output: tuple[str, str, str],
) -> None:
    for text in output:
        assert "canary" not in text


def test_every_line_is_json_with_its_service_and_level(output: tuple[str, str, str]) -> None:
    lines = [json.loads(line) for line in output[2].splitlines()]
    assert {line["level"] for line in lines} >= {"info", "warning", "error", "critical"}
    assert [line["event"] for line in lines if "traceback" in line["event"]] == [
        "traceback",
        "foreign traceback",
    ]
    assert all(
        "RuntimeError: ***" in line["exception"] for line in lines if "traceback" in line["event"]
    )
    assert [line.get("thread") for line in lines if line["event"] == "uncaught"] == ["worker", None]
    assert output[1] == ""
