"""The files behind a path: one file, a folder with all below it, the members of a zip.

Bytes unpacked with a ceiling.

Called by reader.py. It opens and unpacks; what the bytes mean is not its business.
"""

import bz2
import gzip
import hashlib
import lzma
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from shared.domain.errors import UserError
from shared.runtime.bar_files.names import read_name

MOST_BYTES = 4 << 30
"""Unpacked: ten times the daily bars of every listed stock of twenty years as text."""
MOST_EXPANSION, SMALL = 200, 64 << 20
"""Market data shrinks to a third or a tenth.

What unpacks to more than 200 times its size is a bomb.
"""
CHUNK = 1 << 20
READABLE = re.compile(
    r"\.(csv|txt|tsv|tab|dat|asc|prn|parquet|pq|parq|feather|arrow|ipc|zip)"
    r"(\.(gz|bz2|xz|zst))?$",
    re.IGNORECASE,
)
SYSTEM_FILES = frozenset(("thumbs.db", "desktop.ini", "_success", "_metadata", "_common_metadata"))
SYSTEM_FOLDERS = frozenset(("__MACOSX",))
Stream = IO[bytes] | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile
WORKBOOKS = frozenset((".xlsx", ".xls", ".ods", ".numbers"))


@dataclass(frozen=True, slots=True)
class TableSource:
    """One table of bars: a file, or a member of a zip. `label` names it in sentences."""

    path: Path
    label: str
    member: str = ""

    @property
    def name(self) -> str:
        return Path(self.member).name if self.member else self.path.name

    @property
    def folders(self) -> tuple[str, ...]:
        """The names of the folders it lies in, the nearest last."""
        return (*self.path.parent.parts, *Path(self.member).parent.parts)


@dataclass(frozen=True, slots=True)
class Sources:
    """All that is read, and the names of files that were left aside."""

    tables: tuple[TableSource, ...]
    ignored: tuple[str, ...] = ()


def find_sources(path: Path) -> Sources:
    """The tables behind a path in the order of their names. Raises UserError if there are none."""
    try:
        if path.is_dir():
            return _folder_sources(path)
        if not path.is_file():
            raise UserError(f"{path} is neither a file nor a folder of bars.")
        return Sources(tuple(_file_sources(path, path.name)))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error


def _folder_sources(folder: Path) -> Sources:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    files = [file for file in files if not is_system(file.relative_to(folder))]
    readable = [file for file in files if READABLE.search(file.name)]
    tables = [
        source for file in readable for source in _file_sources(file, str(file.relative_to(folder)))
    ]
    if not tables:
        raise UserError(f"The folder {folder} has no .csv, .txt, .parquet or .zip files of bars.")
    ignored = [str(file.relative_to(folder)) for file in files if file not in set(readable)]
    return Sources(tuple(tables), tuple(ignored))


def without_subsets(sources: Sources) -> Sources:
    """Without files whose name gives a span of days within that of another of their symbol.

    Caches keep `AAPL_2016-01-01_2018-12-31.csv` beside `AAPL_2015-01-01_2020-12-31.csv`.
    """
    names = {source: read_name(source.name) for source in sources.tables}
    spans = defaultdict(list)
    for source, name in names.items():
        if name.start and name.end:
            spans[name.symbol].append((name.start, name.end, source))
    subsets = {
        source
        for own in spans.values()
        for start, end, source in own
        if any(
            (first, last) != (start, end) and first <= start and end <= last
            for first, last, _ in own
        )
    }
    kept = tuple(source for source in sources.tables if source not in subsets)
    left_out = (
        f"{source.label} (within another file)" for source in sources.tables if source in subsets
    )
    return Sources(kept, (*sources.ignored, *left_out))


def _file_sources(file: Path, label: str) -> Iterator[TableSource]:
    if not zipfile.is_zipfile(file) or file.suffix.lower() in WORKBOOKS:
        yield TableSource(file, label)
        return
    with zipfile.ZipFile(file) as archive:
        members = [each.filename for each in archive.infolist() if not each.is_dir()]
    tables = [each for each in sorted(members) if not is_system(Path(each))]
    if not tables:
        raise UserError(f"{label} is a zip without any file of bars.")
    for member in tables:
        if READABLE.search(member) or len(tables) == 1:
            yield TableSource(file, f"{label}: {member}", member)


def is_system(path: Path) -> bool:
    """Whether an operating system or a cluster left it, not a vendor: `._AAPL.csv`, `.DS_Store`."""
    return (
        path.name.startswith(".")
        or path.name.lower() in SYSTEM_FILES
        or any(part in SYSTEM_FOLDERS or part.startswith(".") for part in path.parts)
    )


def digest_of(path: Path) -> str:
    """The digest of a file's or folder's content: names, sizes and bytes."""
    digest = hashlib.sha256()
    for file in dict.fromkeys(source.path for source in find_sources(path).tables):
        digest.update(f"{file.name}|{file.stat().st_size}|".encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def read_bytes(source: TableSource) -> bytes:
    """The unpacked bytes. Raises UserError where they cannot be had, or are too many."""
    try:
        with (
            source.path.open("rb") as file,
            _member(file, source) as packed,
            _unpack(packed, source.name) as stream,
        ):
            return _read_up_to_limit(stream, source)
    except NotImplementedError as error:
        raise UserError(f"it is packed in a way that is not read ({error}).") from error
    except RuntimeError as error:  # zipfile's word for a password
        raise UserError(f"it cannot be unpacked: {error}.") from error
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise UserError(f"it is damaged or cut short: {error}.") from error


@contextmanager
def _member(file: IO[bytes], source: TableSource) -> Iterator[IO[bytes]]:
    """The file itself, or the member of the zip that it is."""
    if not source.member:
        yield file
        return
    with zipfile.ZipFile(file) as archive, archive.open(source.member) as member:
        yield member


def _unpack(stream: IO[bytes], name: str) -> Stream:
    """By the first bytes, whatever the name says."""
    start = stream.read(6)
    stream.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if start.startswith(b"\xfd7zXZ"):
        return lzma.LZMAFile(stream)
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        unpacked: IO[bytes] = pa.CompressedInputStream(pa.PythonFile(stream), "zstd")
        return unpacked
    if start.startswith((b"7z\xbc\xaf", b"Rar!")):
        raise UserError(f"{name} is packed as 7z or rar; unpack it, or pack it as zip or gz.")
    return stream


def _read_up_to_limit(stream: Stream, source: TableSource) -> bytes:
    packed = source.path.stat().st_size
    limit = min(MOST_BYTES, max(SMALL, packed * MOST_EXPANSION))
    parts: list[bytes] = []
    size = 0
    while chunk := stream.read(CHUNK):
        size += len(chunk)
        if size > limit:
            raise UserError(
                f"it unpacks to more than {limit >> 20} MiB from {packed >> 10} KiB; no market "
                "data shrinks like that, so it is not read."
            )
        parts.append(chunk)
    return b"".join(parts)
