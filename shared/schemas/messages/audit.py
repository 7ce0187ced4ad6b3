"""What the auditor publishes: records that are on disk, checkpoints that are signed."""

from __future__ import annotations

from shared.schemas.values import Message


class BlockAppended(Message, frozen=True, kw_only=True):
    """Records up to `height` are on disk and synced; `head` is the last record's hash."""

    height: int
    head: str
    records: int


class CheckpointSigned(Message, frozen=True, kw_only=True):
    """`note` is the signed note over the RFC 6962 root of the first `size` records."""

    size: int
    root: str
    head: str
    note: str
