"""What the auditor publishes: records that are on disk, checkpoints that are signed."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.schemas import fields as f
from shared.schemas.values import Message


class BlockAppended(Message, frozen=True, kw_only=True):
    """Records up to `height` are on disk and synced; `head` is the last record's hash."""

    height: f.Sequence
    head: f.Digest
    records: f.Count


class CheckpointSigned(Message, frozen=True, kw_only=True):
    """`note` is the signed note over the RFC 6962 root of the first `size` records."""

    size: f.Sequence
    root: f.Digest
    head: f.Digest
    note: Annotated[str, Meta(max_length=16_384)]
