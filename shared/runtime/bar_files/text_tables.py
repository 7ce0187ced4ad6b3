"""Text to a table: encoding, delimiter, header, rows. CSV in the widest sense.

Called by tables.py. Every cell stays text, so that NA and TRUE remain symbols; what the cells mean
is decided elsewhere.
"""

import codecs
import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pacsv

from shared.domain.errors import UserError
from shared.runtime.bar_files.headers import Header, missing_columns, read_header

DELIMITERS = (",", ";", "\t", "|")
PREAMBLE = 40
"""A header stands among the first lines; above it some vendors write their terms."""
HEADER_LINES = 3
START = 1 << 18
"""Bytes in which the header must be."""
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class TextTable:
    """`columns` are texts by place; `malformed` the lines that have more or fewer fields.

    `lines` come before the first row, the header's own among them.
    """

    header: Header
    columns: tuple[pa.ChunkedArray, ...]
    names: tuple[str, ...]
    lines: int
    malformed: tuple[str, ...]


def read_text(content: bytes) -> TextTable:
    """The table in the bytes of a text file. Raises UserError if there is none."""
    text = utf8(content)
    first = text[:1024].lstrip().lower()
    if not first:
        raise UserError("it is empty.")
    if first.startswith((b"{", b"[")):
        raise UserError("it is JSON; write it as CSV or Parquet.")
    if first.startswith(b"<") and b"html" in first:
        raise UserError("it is a web page, such as a vendor's error; download the file again.")
    start = text[:START].decode("utf-8", "ignore").split("\n")[:PREAMBLE]
    delimiter, place, header, cells = _find_header(start)
    lines = place + header.lines
    columns, malformed = _split(_after_lines(text, lines), delimiter, cells)
    return TextTable(header, columns, tuple(cells), lines, malformed)


def find_lines(content: bytes, table: TextTable, rows: Sequence[int]) -> dict[int, tuple[int, str]]:
    """Row -> its line in the file, from 1, and the line itself; malformed ones follow the rows.

    Rows from the number of rows on are those of `table.malformed`, in order.
    """
    wanted, found, count = set(rows), {}, 0
    bad = 0
    body = _after_lines(utf8(content), table.lines).decode("utf-8", "replace")
    total = len(table.columns[0])
    for number, line in enumerate(body.split("\n"), start=table.lines + 1):
        text = line.rstrip("\r")
        if not text:
            continue
        is_bad = bad < len(table.malformed) and text == table.malformed[bad].rstrip("\r\n")
        row = total + bad if is_bad else count
        bad, count = bad + is_bad, count + (not is_bad)
        if row in wanted:
            found[row] = number, text
    return found


def utf8(content: bytes) -> bytes:
    """UTF-8 without a mark, with unix line ends where a file has none."""
    for mark, encoding in BOMS:
        if content.startswith(mark):
            content = content[len(mark) :]
            if encoding != "utf-8":
                return _recode(content, encoding)
            break
    sample = content[:4096]
    if b"\0" in sample:
        pairs = max(1, len(sample) // 2)
        for encoding, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[::2])):
            if zeros.count(0) > pairs // 2:
                return _recode(content, encoding)
        raise UserError("it is no text and no Parquet file.")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        content = content.decode("cp1252", "replace").encode()
    return content if b"\n" in content else content.replace(b"\r", b"\n")


def _recode(content: bytes, encoding: str) -> bytes:
    try:
        return content.decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise UserError(f"it begins as {encoding} but is not: {error.reason}.") from error


def _find_header(start: Sequence[str]) -> tuple[str, int, Header, list[str]]:
    """The first line that is a header with some delimiter."""
    for place in range(len(start)):
        for delimiter in DELIMITERS:
            rows = split_cells(start[place : place + HEADER_LINES], delimiter)
            header = read_header(rows)
            if header:
                return delimiter, place, header, _widest(rows, header)
    raise UserError(_why_none(start))


def _widest(rows: Sequence[Sequence[str]], header: Header) -> list[str]:
    longest = max(len(row) for row in rows[: header.lines])
    return next(list(row) for row in rows if len(row) == longest)


def split_cells(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    except csv.Error:  # a field without end
        return []


def _why_none(start: Sequence[str]) -> str:
    """What the likeliest header lacks."""
    rows = [
        row for delimiter in DELIMITERS for row in split_cells(start, delimiter) if len(row) > 1
    ]
    lacking = [missing_columns(row) for row in rows]
    best = min(lacking, key=len, default=None)
    if best is None or len(best) > len(_REQUIRED_IN_WORDS) - 2:
        return (
            "it has no header line; its first line should name the columns, such as "
            "date,open,high,low,close,volume."
        )
    plural = "s" if len(best) > 1 else ""
    return f"it lacks the column{plural} {', '.join(best)}."


_REQUIRED_IN_WORDS = missing_columns(())


def _after_lines(text: bytes, lines: int) -> bytes:
    place = 0
    for _ in range(lines):
        place = text.find(b"\n", place) + 1
        if not place:
            return b""
    return text[place:]


def _split(
    body: bytes, delimiter: str, cells: Sequence[str]
) -> tuple[tuple[pa.ChunkedArray, ...], tuple[str, ...]]:
    """Columns of texts, and the lines that have more or fewer fields."""
    names = [str(place) for place in range(len(cells))]
    if not body.strip():
        return tuple(pa.chunked_array([pa.array([], pa.string())]) for _ in names), ()
    malformed: list[str] = []

    def skip(row: pacsv.InvalidRow) -> str:
        malformed.append(row.text)
        return "skip"

    table = _read_csv(body, delimiter, names, skip, threads=True)
    if malformed:  # once more in one thread, which is slower and keeps them in order
        malformed.clear()
        table = _read_csv(body, delimiter, names, skip, threads=False)
    return tuple(table.columns), tuple(malformed)


def _read_csv(
    body: bytes,
    delimiter: str,
    names: list[str],
    skip: Callable[[pacsv.InvalidRow], str],
    *,
    threads: bool,
) -> pa.Table:
    try:
        return pacsv.read_csv(
            pa.py_buffer(body),
            read_options=pacsv.ReadOptions(column_names=names, use_threads=threads),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, invalid_row_handler=skip),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        raise UserError(f"its rows cannot be split: {str(error).splitlines()[0]}") from error
