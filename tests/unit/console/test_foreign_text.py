"""Whatever stands in Redis, logs and files is shown as text, never as markup."""

from __future__ import annotations

import io
import json
import sys
import tempfile
import unicodedata
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from services.console.cli import output, status
from services.console.cli.app import run
from shared.runtime.bus.protocol import KillView
from shared.schemas import messages as m
from shared.schemas.streams import ServiceName
from shared.schemas.values import Direction, Signal
from tests.builders import SESSION, approval, scan_ref
from tests.unit.console.fake_stack import FakeClient, address

pytestmark = pytest.mark.slow

ANY = st.text(max_size=30) | st.sampled_from(
    ["stop [/all]", "[bars]", "[bold]x[/bold]", "\x1b]0;title\x07", "a\r\nb", "\u202edesrever"]
)
ALWAYS = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def shown(arguments: list[str], client: FakeClient | None = None) -> tuple[int, str]:
    """(exit code, all that was printed) on a terminal wide enough for one line each."""
    screen, errors = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "stdout", screen),
        patch.object(sys, "stderr", errors),
        patch.object(output, "PIPE_WIDTH", 4000),
        patch.object(status, "open_client", lambda _: client),
    ):
        code = run(arguments)
    return code, screen.getvalue() + errors.getvalue()


def is_harmless(text: str) -> bool:
    return all(c == "\n" or not unicodedata.category(c).startswith("C") for c in text)


def stack(text: str, folder: Path) -> FakeClient:
    client = FakeClient(address(folder), view=KillView("2-0", "1-0"), kill_fields={"why": text})
    client.states[ServiceName.RISK_GATE] = {"book.session": text, "book.equity": text}
    client.states[ServiceName.EXECUTOR] = {f"drifts:{text}": {"symbol": text}}
    client.say(approval(symbol=text, strategy=text))
    signal = Signal(
        session=SESSION,
        symbol=text,
        strategy=text,
        direction=Direction.LONG,
        reference_price=Decimal(1),
        stop=Decimal(1),
        target=None,
        time_stop_bars=1,
        score=Decimal(1),
        reason=text,
        indicators={},
    )
    client.say(
        m.ScanCompleted(
            scan=scan_ref(),
            part=1,
            parts=1,
            exits=(),
            signals=(signal,),
            bars_digest="",
            aborted=text,
        )
    )
    return client


@ALWAYS
@given(ANY)
@pytest.mark.parametrize("command", ["status", "orders", "signals", "positions"])
def test_a_view_of_the_stack_prints_any_text(command: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        client = stack(text, Path(folder))
        code, said = shown([command], client)
        assert code in (0, 1)
        assert is_harmless(said)
        if command in ("orders", "signals"):
            assert output.plain(text).strip() in said
        code, said = shown([command, "--json"], client)
        assert code in (0, 1)
        assert isinstance(json.loads(said), dict)


@ALWAYS
@given(ANY)
def test_logs_print_any_text(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "events.jsonl").write_text(
            json.dumps({"event": text, "why": text, "nested": {"x": [text]}}) + "\n"
        )
        with patch.dict("os.environ", {"KOBE_LOG_DIR": folder, "KOBE_REDIS_URL": "redis://x"}):
            code, said = shown(["logs"])
    assert code == 0
    assert is_harmless(said)
    assert output.plain(text).strip() in said


@ALWAYS
@given(ANY.filter(lambda text: "\x00" not in text and text.strip()))
def test_an_error_prints_what_was_typed(text: str) -> None:
    for arguments in (
        ["backtest", "--strategy", text],
        ["backtest", "--costs", text],
        ["audit", "verify", f"/nowhere/{text[:20]}"],
        ["demo", "--bars", f"/nowhere/{text[:20]}"],
        [text],
    ):
        code, said = shown(arguments)
        assert is_harmless(said)
        assert "unforeseen" not in said or code == 70
        assert "Traceback" not in said


@ALWAYS
@given(ANY)
def test_preflight_prints_any_text(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kobe.toml"
        file.write_text(f"[{json.dumps(text)}]\n", encoding="utf-8", errors="replace")
        with patch.dict("os.environ", {"KOBE_CONFIG": str(file)}):
            code, said = shown(["preflight"])
    assert code == 3
    assert is_harmless(said)
