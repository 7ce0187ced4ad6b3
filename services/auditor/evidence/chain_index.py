"""Where in the chain each decision is spoken of: an index that may be lost and built anew.

Filled while the chain is verified and only kept if it proved sound. It remembers the files as they
were then; what has changed since is verified again before anything is told from it. It lies with
whoever asks, never with the chain.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import msgspec

from services.auditor.chain.chain_state import ChainState
from services.auditor.chain.day_files import day_files
from services.auditor.chain.memory import ChainPosition
from services.auditor.chain.merkle import leaf_hash, root_of
from services.auditor.evidence.snapshot import RecordPlace
from shared.schemas import messages as m
from shared.schemas.json_types import JsonMapping

# A reader seeks to a block and reads on; a block is hashed again before it is told from.
BLOCK = 256
# The layout below; another one is rebuilt.
VERSION = "1"
OF_THE_SCAN = {
    kind.__name__
    for kind in (m.BarsReady, m.ScanCompleted, m.QuotesSeen, m.QuotesRequested, m.ScanDecided)
}
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE files (name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL);
CREATE TABLE blocks (
  number INTEGER PRIMARY KEY, file TEXT, offset INTEGER, size INTEGER, node BLOB
);
CREATE TABLE refs (key INTEGER NOT NULL, record INTEGER NOT NULL);
"""


class IndexStale(Exception):
    """The index does not fit the files, or is none; it is built anew."""


class _Names(msgspec.Struct):
    """What in a message's data names a decision."""

    decision_id: str = ""
    client_order_id: str = ""


_READ_NAMES = msgspec.json.Decoder(_Names)


def key_of(name: str) -> int:
    """Eight bytes stand for a name; two that share them are told apart by what the records say."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def fingerprint(file: Path) -> str:
    """Changes with every write.

    The system keeps the time of the last change, and nobody sets it.
    """
    found = file.stat()
    return f"{found.st_ino}:{found.st_size}:{found.st_ctime_ns}"


def names_in(payload: JsonMapping) -> Iterator[str]:
    """The decisions, orders and scans that a record is about."""
    message = payload.get("message")
    if not message or "data" not in message:
        return
    if message.get("type") in OF_THE_SCAN:
        yield message.get("correlation_id", "")
        return
    try:
        names = _READ_NAMES.decode(message["data"])
    except msgspec.MsgspecError:
        return
    yield names.decision_id
    yield names.client_order_id


@dataclass
class IndexWriter:
    """Sees each record as it is verified, before the state counts it.

    `finish` keeps what it saw.
    """

    store: sqlite3.Connection
    _state: ChainState = field(default_factory=ChainState)
    _file: Path = Path()
    _offset: int = 0
    _first: int = 0
    _place: tuple[str, int] = ("", 0)
    _leaves: list[bytes] = field(default_factory=list)
    _refs: list[tuple[int, int]] = field(default_factory=list)
    _fingerprints: dict[str, str] = field(default_factory=dict)

    def see(self, index: int, payload: JsonMapping, line: bytes, at: RecordPlace) -> None:
        if self._file != at.file:
            self._begin_file(at)
        if not self._leaves:
            self._first, self._place = index, (at.file.name, self._offset)
        self._leaves.append(leaf_hash(line))
        self._refs += [(key_of(name), index) for name in names_in(payload) if name]
        self._offset += len(line) + 1
        if len(self._leaves) == BLOCK:
            self._write_block()

    def _begin_file(self, at: RecordPlace) -> None:
        """A block ends with its file, so that each file can be verified and indexed by itself."""
        self._write_block()
        self._state, self._file, self._offset = at.state, at.file, at.offset
        # Taken before it is read: what is written meanwhile counts as changed.
        self._fingerprints[at.file.name] = fingerprint(at.file)

    def _write_block(self) -> None:
        if not self._leaves:
            return
        row = (self._first, *self._place, len(self._leaves), root_of(self._leaves))
        self.store.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?)", row)
        self.store.executemany("INSERT INTO refs VALUES (?, ?)", self._refs)
        self._leaves, self._refs = [], []

    def end(self, before: ChainPosition) -> ChainPosition:
        """Where the chain stands now; `before` if nothing was seen."""
        if self._file == Path():
            return before
        return ChainPosition.of(self._state, self._file.name, self._offset)

    def finish(self, facts: Mapping[str, str]) -> None:
        self._write_block()
        rows = self._fingerprints.items()
        self.store.executemany("INSERT OR REPLACE INTO files VALUES (?, ?)", rows)
        self.store.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())
        self.store.execute("CREATE INDEX IF NOT EXISTS refs_by_key ON refs (key)")
        self.store.commit()


class ChainIndex:
    """One chain's index in one SQLite file; `close` when done."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self.store = _open(file)
        except sqlite3.DatabaseError:
            # Whatever is there is no index; one is built anew.
            file.unlink()
            self.store = _open(file)

    def close(self) -> None:
        self.store.close()

    def _empty(self) -> None:
        tables = self.store.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        for (name,) in tables:
            self.store.execute(f"DROP TABLE {name}")
        for statement in _SCHEMA.split(";"):
            self.store.execute(statement)

    def facts(self) -> dict[str, str]:
        """What is remembered of the chain as a whole. Raises IndexStale if there is no index."""
        try:
            found = dict(self.store.execute("SELECT name, value FROM facts").fetchall())
        except sqlite3.Error as error:
            raise IndexStale(str(error)) from error
        if found.get("version") != VERSION:
            raise IndexStale("another layout")
        return found

    def writer(self, start: ChainPosition | None) -> IndexWriter:
        """For the records from `start` on; what was known of them is dropped."""
        if start is None:
            self._empty()
        else:
            self.store.execute("DELETE FROM blocks WHERE number >= ?", (start.height,))
            self.store.execute("DELETE FROM refs WHERE record >= ?", (start.height,))
        return IndexWriter(self.store)

    def undo(self) -> None:
        """Nothing of a chain that proved unsound is kept."""
        self.store.rollback()

    def first_change(self, folder: Path) -> str | None:
        """The first day file that was written, or made, since it was verified."""
        known = dict(self.store.execute("SELECT name, fingerprint FROM files").fetchall())
        for file in day_files(folder):
            if known.get(file.name) != fingerprint(file):
                return file.name
        return None

    def records(self, folder: Path, names: Iterable[str]) -> list[tuple[int, bytes]]:
        """(index, line) of the records that speak of any of the names, in order.

        Raises IndexStale if a block is no longer what was verified.
        """
        wanted: set[int] = set()
        for name in names:
            rows = self.store.execute("SELECT record FROM refs WHERE key = ?", (key_of(name),))
            wanted.update(record for (record,) in rows)
        blocks: dict[int, list[bytes]] = {}
        for record in sorted(wanted):
            number, *place = self.store.execute(
                "SELECT * FROM blocks WHERE number <= ? ORDER BY number DESC LIMIT 1", (record,)
            ).fetchone()
            if number not in blocks:
                blocks[number] = _read_block(folder, *place)
        starts = sorted(blocks)
        return [(record, _line_in(blocks, starts, record)) for record in sorted(wanted)]


def _open(file: Path) -> sqlite3.Connection:
    """In memory, for this once, where nothing can be written. Raises sqlite3.DatabaseError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        place = str(file)
    except OSError:
        place = ":memory:"
    store = sqlite3.connect(place)
    # It can be built again: no journal on disk, no sync.
    store.execute("PRAGMA journal_mode = MEMORY")
    store.execute("PRAGMA synchronous = OFF")
    return store


def _read_block(folder: Path, name: str, offset: int, size: int, node: bytes) -> list[bytes]:
    with (folder / name).open("rb") as handle:
        handle.seek(offset)
        lines = [line.removesuffix(b"\n") for line in islice(handle, size)]
    if root_of(leaf_hash(line) for line in lines) != node:
        raise IndexStale(f"{name} is not what was verified")
    return lines


def _line_in(blocks: Mapping[int, list[bytes]], starts: list[int], record: int) -> bytes:
    start = max(each for each in starts if each <= record)
    return blocks[start][record - start]
