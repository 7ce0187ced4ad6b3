"""What a person types wrong, and what the command line answers.

One sentence, a documented code, no traceback.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from services.console.cli.app import run


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["demo", "--sesions", "3"], 64, "--sesions"),
        (["demo", "--sessions", "0"], 64, "--sessions"),
        (["demo", "--sessions", "many"], 64, "valid integer"),
        (["demo", "--from", "yesterday"], 64, "yesterday"),
        (["nonsense"], 64, "nonsense"),
        (["audit", "verify", "/nowhere/at/all"], 1, "no audit chain"),
        (["audit", "verify", "--legacy", "/nowhere/at/all"], 1, "cannot be read"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    said = capsys.readouterr().err
    assert words in said
    assert len(said.strip().splitlines()) == 1
    assert "Traceback" not in said


def test_bars_that_are_not_there_are_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", "--bars", str(tmp_path / "none.parquet")]) == 1
    assert "There are no bars at" in capsys.readouterr().err


def test_a_folder_to_keep_that_is_not_empty_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("precious")
    assert run(["demo", "--keep", str(tmp_path)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_demo_under_a_kill_file_says_so_instead_of_trading_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state/KILL_SWITCH").touch()
    assert run(["demo", "--sessions", "1"]) == 1
    assert "state/KILL_SWITCH is there, so nothing would trade" in capsys.readouterr().err


def test_without_a_stack_a_command_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["status"], ["resume"], ["positions"]):
        assert run(command) == 2
        assert "No stack is running here" in capsys.readouterr().err


def test_a_redis_that_does_not_answer_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "password").write_text("x")
    monkeypatch.setenv("KOBE_REDIS_URL", "redis://127.0.0.1:9")
    monkeypatch.setenv("KOBE_REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    assert run(["status"]) == 69
    assert "Redis does not answer" in capsys.readouterr().err
