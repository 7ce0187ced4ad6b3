"""What the auditor publishes: records on disk, checkpoints that it and witnesses have signed."""

import datetime as dt
from typing import Annotated

from msgspec import Meta

from shared.schemas import fields as f
from shared.schemas.values import Message

# A C2SP signed note: three lines and at most 32 signatures.
Note = Annotated[str, Meta(max_length=16_384)]


class BlockAppended(Message, frozen=True, kw_only=True):
    """Records up to `height` are on disk and synced; `head` is the last record's hash."""

    height: f.Sequence
    head: f.Digest
    records: f.Count


class CheckpointSigned(Message, frozen=True, kw_only=True):
    """`note` is the signed note over the RFC 6962 root (`root`, hex) of the first `size` records.

    `head` is the hash of the chain's last record when it was published.
    """

    size: f.Sequence
    root: f.Digest
    head: f.Digest
    note: Note


class CheckpointCosigned(Message, frozen=True, kw_only=True):
    """A quorum of witnesses vouches that the chain had only grown, up to `size` records, at `at`.

    `notes` are the cosigned checkpoints, one of each of the `witnesses`, as C2SP signed notes.
    """

    size: f.Sequence
    at: dt.datetime
    witnesses: Annotated[tuple[Annotated[str, Meta(max_length=128)], ...], Meta(max_length=16)]
    notes: Annotated[tuple[Note, ...], Meta(max_length=16)]
