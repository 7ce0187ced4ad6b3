"""Lists of symbols as files: the one that ships as a start, and anybody's own.

Read when settings are loaded, so that the configuration's pin covers every symbol, and by the
commands that take `--universe`.
"""

import csv
from pathlib import Path

from shared.domain.errors import UserError
from shared.domain.market.symbols import canonical_symbol

STARTER = "starter"
STARTER_FILE = Path(__file__).with_name("starter_universe.csv")


def read_universe(name: str | Path) -> tuple[str, ...]:
    """The symbols of the list `starter` or of a file, in their order, each once.

    A file has one symbol a line, or is a CSV with a column `symbol`; `#` begins a remark. Raises
    UserError if it cannot be read or names no symbol.
    """
    file = STARTER_FILE if name == STARTER else Path(name).expanduser()
    rows = list(csv.reader(line for line in _lines(file) if line.split("#")[0].strip()))
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = header.index("symbol") if "symbol" in header else None
    if column is None and len(header) > 1:
        raise UserError(f"The universe {file} has several columns and none of them is `symbol`.")
    cells = [row[column or 0] for row in rows[column is not None :] if len(row) > (column or 0)]
    texts = [text for cell in cells if (text := cell.split("#")[0].strip())]
    symbols = tuple(dict.fromkeys(_symbol(file, text) for text in texts))
    if not symbols:
        raise UserError(f"The universe {file} names no symbol.")
    return symbols


def _symbol(file: Path, text: str) -> str:
    symbol = canonical_symbol(text)
    if symbol is None:
        raise UserError(f"The universe {file} names {text!r}, which is no symbol.")
    return symbol


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"The universe {file} cannot be read: {reason}.") from error
