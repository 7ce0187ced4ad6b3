from pathlib import Path

import pytest

from shared.domain.errors import UserError
from shared.runtime.config.environment import read_env_file


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("KEY=abc", "abc"),
        ("KEY=abc  # paper", "abc"),
        ("KEY=abc#1", "abc#1"),
        ("KEY= abc ", "abc"),
        ("export KEY=abc", "abc"),
        ("KEY='a b # c'", "a b # c"),
        ('KEY="a\\nb"  # two lines', "a\nb"),
        ("KEY=", ""),
        ("KEY=a=b=c", "a=b=c"),
        ("KEY=${OTHER}", "${OTHER}"),
        ("\ufeffKEY=abc\r", "abc"),
    ],
)
def test_a_line_means_what_every_other_reader_of_such_files_says(
    tmp_path: Path, line: str, value: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{line}\n", encoding="utf-8")
    assert read_env_file(file) == {"KEY": value}


def test_comments_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# keys\n\n  \nKEY=abc\n# KEY=old\n")
    assert read_env_file(file) == {"KEY": "abc"}


@pytest.mark.parametrize("line", ["AKSECRET", "KEY 'AKSECRET", "KEY='AKSECRET", "=AKSECRET"])
def test_a_malformed_line_is_named_by_its_number_and_never_quoted(
    tmp_path: Path, line: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"# one\n\nGOOD=1\n\n{line}\n")
    with pytest.raises(UserError, match=r"line 5: this is not NAME=value") as refused:
        read_env_file(file)
    assert "AKSECRET" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"KEY=\xff\xfe\x00")
    with pytest.raises(UserError, match="not text in UTF-8"):
        read_env_file(file)
