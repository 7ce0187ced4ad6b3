"""What the auditor publishes: records that are on disk, checkpoints that are signed."""

from __future__ import annotations

import datetime as dt

from shared.schemas.values import Message


class BlockAppended(Message, frozen=True, kw_only=True):
    """Records up to `height` are on disk and synced; `head` is the last record's hash."""

    height: int
    head: str
    records: int


class CheckpointSigned(Message, frozen=True, kw_only=True):
    """`note` is the signed note over the RFC 6962 root (`root`, hex) of the first `size` records.

    `head` is the hash of the chain's last record when it was published.
    """

    size: int
    root: str
    head: str
    note: str


class CheckpointCosigned(Message, frozen=True, kw_only=True):
    """A quorum of witnesses vouches that the chain had only grown, up to `size` records, at `at`.

    `notes` are the cosigned checkpoints, one of each witness, as C2SP signed notes.
    """

    size: int
    at: dt.datetime
    witnesses: tuple[str, ...]
    notes: tuple[str, ...]
