"""Columns of prices and volumes to floats: `$`, thousands, decimal commas, `1.2M`.

Called by tables.py. What is no number becomes NaN, which is refused as a bar later; a comma that
may be either a decimal mark or a thousands separator in the whole file is refused at once.
"""

import re
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.domain.errors import UserError

Numbers = NDArray[np.floating[Any]]
SUFFIXES = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
NOISE = re.compile(r"US\$|USD|[$€£\s\u00a0\u2009\u202f'\u2019\"+]")
GROUPED = re.compile(r"-?\d{1,3}([.,]\d{3})+")
NO_VOLUME = frozenset(("-", "–", "—", "--"))
"""How Investing.com and others write that a volume is not known: history that is not traded."""


def is_text(column: pa.ChunkedArray) -> bool:
    kind = column.type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
    )


def read_numbers(column: pa.ChunkedArray) -> Numbers:
    """A column of numbers as it is if it has no nulls, otherwise as float64 with NaN."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type) or pa.types.is_boolean(column.type):
        column = column.cast(pa.float64())
    if column.null_count or not (
        pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    ):
        column = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan)
    numbers: Any = np.from_dlpack(column.combine_chunks())
    halves = numbers.dtype == np.float16
    return cast("Numbers", numbers.astype(np.float64) if halves else numbers)


def read_number_texts(prices: Sequence[pa.ChunkedArray], volume: pa.ChunkedArray) -> list[Numbers]:
    """Prices and volume of a file of texts; all of them show which mark is the decimal one.

    Raises UserError if none shows it.
    """
    columns = [*prices, volume]
    plain = [_plain_floats(column) for column in columns]
    if all(each is not None for each in plain):
        return [each for each in plain if each is not None]
    mark = decimal_mark([_distinct(column) for column in prices], _distinct(volume))
    return [
        _map_texts(column, mark, is_volume=place == len(prices))
        for place, column in enumerate(columns)
    ]


def _plain_floats(column: pa.ChunkedArray) -> Numbers | None:
    """The usual case, at Arrow's speed: numbers with points, and nothing else."""
    try:
        return read_numbers(pc.utf8_trim_whitespace(column).cast(pa.float64()))
    except pa.ArrowInvalid:
        return None


def _distinct(column: pa.ChunkedArray) -> list[str]:
    return [NOISE.sub("", text) for text in pc.unique(column).to_pylist() if text]


def _map_texts(column: pa.ChunkedArray, mark: str, *, is_volume: bool) -> Numbers:
    encoded = column.combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    values = np.array([read_number(text, mark, is_volume=is_volume) for text in texts] + [np.nan])
    return values[np.array(pc.fill_null(encoded.indices, len(texts)), np.int64)]


def decimal_mark(prices: Sequence[Sequence[str]], volumes: Sequence[str]) -> str:
    """`.` or `,`: what stands last where both do, or before other than three digits."""
    marks = {mark for texts in prices for text in texts if (mark := _mark_of(text))}
    if len(marks) > 1:
        raise UserError("its prices have decimal points and decimal commas; write them in one way.")
    if marks:
        return marks.pop()
    grouped = {text[-4] for texts in prices for text in texts if GROUPED.fullmatch(text)}
    thousands = {text[-4] for text in volumes if GROUPED.fullmatch(text)}
    if grouped & thousands or not grouped:
        return "." if "," in (grouped & thousands or {","}) else ","
    example = next(text for texts in prices for text in texts if GROUPED.fullmatch(text))
    if set(example) & {"."}:
        return "."
    raise UserError(
        f"its prices are ambiguous: {example} may be {example.replace(',', '')} or "
        f"{example.replace(',', '.')}; write them with a decimal point."
    )


def _mark_of(text: str) -> str | None:
    """The decimal mark that one price shows; None if it may be either, or has none."""
    bare = text.strip("-%")
    if "." in bare and "," in bare:
        return max(".,", key=bare.rfind)
    for mark, other in ((",", "."), (".", ",")):
        if bare.count(mark) > 1 and GROUPED.fullmatch(bare):
            return other
        if bare.count(mark) == 1 and not GROUPED.fullmatch(bare) and _is_number(bare, mark):
            return mark
    return None


def _is_number(text: str, mark: str) -> bool:
    return re.fullmatch(r"\d*M\d*([eE][+-]?\d+)?".replace("M", re.escape(mark)), text) is not None


def read_number(text: str | None, mark: str, *, is_volume: bool = False) -> float:
    """A number with this decimal mark; NaN if the text is none."""
    bare = NOISE.sub("", text or "")
    if is_volume and bare in NO_VOLUME:
        return 0.0
    factor = SUFFIXES.get(bare[-1:].upper(), 1.0) if is_volume else 1.0
    digits = bare[:-1] if factor != 1 else bare
    other = "," if mark == "." else "."
    if is_volume and GROUPED.fullmatch(digits) and factor == 1:
        digits = digits.replace(".", "").replace(",", "")
    if other in digits and not re.fullmatch(rf"-?\d{{1,3}}(\{other}\d{{3}})+(\{mark}\d*)?", digits):
        return float("nan")
    try:
        number = float(digits.replace(other, "").replace(mark, "."))
    except ValueError:
        return float("nan")
    return round(number * factor, 4)
