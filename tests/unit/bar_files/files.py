"""Small files of bars for the reader's tests, and the sentence with which one is refused."""

from pathlib import Path

import pytest

from shared.domain.errors import UserError
from shared.runtime.bar_files.file_bars import ReadOptions
from shared.runtime.bar_files.reader import read_files

HEAD = "date,symbol,open,high,low,close,volume\n"
ROW = "2024-01-03,AAPL,1,2,1,2,10\n"
ACCEPT = ReadOptions(accept_flawed=True)


def sentence(path: Path, options: ReadOptions | None = None) -> str:
    with pytest.raises(UserError) as error:
        read_files(path, options or ReadOptions())
    assert error.value.exit_code == 1
    assert "\n" not in str(error.value)
    return str(error.value)


def write(path: Path, text: str | bytes, name: str = "prices.csv") -> Path:
    file = path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file
