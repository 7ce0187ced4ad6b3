"""The executor's journal: one row a decision, on disk before its order is sent at most once.

SQLite, WAL, synchronous FULL for what is about to be sent; what the broker answered needs no sync,
because a row that still says `sending` only makes us look. Beside the rows it keeps every signed
approval and a copy of the books, from which a lost or older Redis is restored. Called by the
executor's work alone; rows are never deleted.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from shared.domain.errors import UserError
from shared.schemas.envelope import Envelope, from_fields, to_fields

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    decision_id     TEXT PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    created_at      TEXT NOT NULL,
    state           TEXT NOT NULL,
    request_digest  TEXT NOT NULL,
    broker_id       TEXT NOT NULL DEFAULT ''
) STRICT
"""
_BOOKS = """
CREATE TABLE IF NOT EXISTS books (field TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT
"""
_APPROVALS = """
CREATE TABLE IF NOT EXISTS approvals (
    envelope_id TEXT PRIMARY KEY,
    fields      TEXT NOT NULL
) STRICT
"""


class RowState(StrEnum):
    """How far an order got.

    `sending` may be at the broker; `not_taken` surely is not and may be sent again; `refused` never
    was sent.
    """

    SENDING = "sending"
    NOT_TAKEN = "not_taken"
    TAKEN = "taken"
    ENDED = "ended"
    REFUSED = "refused"


SENT = (RowState.SENDING, RowState.TAKEN, RowState.ENDED)


@dataclass(frozen=True, slots=True)
class JournalRow:
    decision_id: str
    idempotency_key: str
    created_at: dt.datetime
    state: RowState
    request_digest: str
    broker_id: str


class OrderJournal:
    """One file on the executor's own volume. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._synced = _open(path, "FULL")
            for table in (_SCHEMA, _BOOKS, _APPROVALS):
                self._synced.execute(table)
            self._notes = _open(path, "NORMAL")
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"The executor's journal {path} cannot be used: {error}.") from error

    def row(self, decision_id: str) -> JournalRow | None:
        found = self._notes.execute(
            "SELECT * FROM orders WHERE decision_id = ?", (decision_id,)
        ).fetchone()
        return _row(found) if found else None

    def knows(self, client_order_id: str) -> bool:
        query = "SELECT 1 FROM orders WHERE idempotency_key = ?"
        return self._notes.execute(query, (client_order_id,)).fetchone() is not None

    def claim(
        self, decision_id: str, client_order_id: str, digest: str, *, at: dt.datetime
    ) -> bool:
        """Claim it for sending, on disk when this returns.

        False: it was there before, may be at the broker and must not be sent.
        """
        row = self.row(decision_id)
        if row and (row.state is not RowState.NOT_TAKEN or row.idempotency_key != client_order_id):
            return False
        self._synced.execute(
            "INSERT INTO orders (decision_id, idempotency_key, created_at, state, request_digest) "
            "VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (decision_id) DO UPDATE "
            "SET state = excluded.state, request_digest = excluded.request_digest",
            (decision_id, client_order_id, at.isoformat(), RowState.SENDING, digest),
        )
        return True

    def note(self, decision_id: str, state: RowState, broker_id: str = "") -> None:
        """What became of a claimed row."""
        self._notes.execute(
            "UPDATE orders SET state = ?, broker_id = CASE ? WHEN '' THEN broker_id ELSE ? END "
            "WHERE decision_id = ?",
            (state, broker_id, broker_id, decision_id),
        )

    def adopt(
        self, decision_id: str, client_order_id: str, state: RowState, *, at: dt.datetime
    ) -> None:
        """A row for what is known only from elsewhere; an older row stays as it is."""
        self._synced.execute(
            "INSERT INTO orders (decision_id, idempotency_key, created_at, state, request_digest) "
            "VALUES (?, ?, ?, ?, '') ON CONFLICT DO NOTHING",
            (decision_id, client_order_id, at.isoformat(), state),
        )

    def refuse(self, decision_id: str, client_order_id: str, *, at: dt.datetime) -> None:
        """It has ended unsent: said again, it is a repeat."""
        self.adopt(decision_id, client_order_id, RowState.REFUSED, at=at)
        self._notes.execute(
            "UPDATE orders SET state = ? WHERE decision_id = ? AND state = ?",
            (RowState.REFUSED, decision_id, RowState.NOT_TAKEN),
        )

    # --- what a lost or older Redis is restored from ----------------------------------------------

    def keep_approval(self, envelope: Envelope) -> None:
        """The whole signed approval; the sync of the claim that follows makes it durable, too."""
        self._notes.execute(
            "INSERT INTO approvals (envelope_id, fields) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (envelope.id, json.dumps(to_fields(envelope))),
        )

    def approvals(self) -> list[Envelope]:
        rows = self._notes.execute("SELECT fields FROM approvals ORDER BY rowid")
        return [from_fields(json.loads(fields))[0] for (fields,) in rows]

    def keep_books(self, changed: Mapping[str, str], removed: Iterable[str]) -> None:
        """What the state has become with the last commit, field by field as in Redis."""
        self._notes.execute("BEGIN")
        self._notes.executemany(
            "INSERT INTO books (field, value) VALUES (?, ?) "
            "ON CONFLICT (field) DO UPDATE SET value = excluded.value",
            changed.items(),
        )
        self._notes.executemany(
            "DELETE FROM books WHERE field = ?", ((field,) for field in removed)
        )
        self._notes.execute("COMMIT")

    def books(self) -> dict[str, str]:
        return dict(self._notes.execute("SELECT field, value FROM books"))

    def count_sent(self) -> int:
        """How many rows are, or may be, at the broker."""
        marks = ", ".join("?" for _ in SENT)
        count: int = self._notes.execute(
            f"SELECT count(*) FROM orders WHERE state IN ({marks})",  # noqa: S608  only question marks
            SENT,
        ).fetchone()[0]
        return count

    def empty(self) -> bool:
        return self._notes.execute("SELECT 1 FROM orders LIMIT 1").fetchone() is None

    def close(self) -> None:
        self._notes.close()
        self._synced.close()


def _open(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    return connection


def _row(found: tuple[str, str, str, str, str, str]) -> JournalRow:
    decision_id, key, created_at, state, digest, broker_id = found
    return JournalRow(
        decision_id, key, dt.datetime.fromisoformat(created_at), RowState(state), digest, broker_id
    )
