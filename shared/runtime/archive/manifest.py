"""What one view of the bar archive consists of, and the names of its files."""

import datetime as dt
from pathlib import Path

import msgspec

from shared.domain.errors import TransientError, UserError
from shared.domain.market.adjustment import Basis

FORMAT = 3
MANIFEST = "manifest.json"
ARRAYS = "arrays"
PARTS = "bars"
STAGING = "staging"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A Parquet file of raw bars of some sessions; `digest` is the sha256 of its bytes."""

    name: str
    rows: int
    first: dt.date
    last: dt.date
    digest: str


class KnownJump(msgspec.Struct, frozen=True, kw_only=True):
    """A split-like jump that no corporate action explains."""

    symbol: str
    session: dt.date
    ratio: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What one view of the archive consists of.

    `digests[i]` covers the sessions through `sessions[i]`. The arrays are those of `generation` for
    the first `base_sessions`, then those of the file `tail`. `splits` is the digest of the splits
    that the arrays are adjusted by; `refusals` and `factors` are files named by their content.
    """

    format: int
    basis: Basis
    source: str
    symbols: tuple[str, ...]
    sessions: tuple[dt.date, ...]
    digests: tuple[str, ...]
    parts: tuple[Part, ...]
    generation: str
    base_sessions: int
    base_digest: str
    tail: str
    splits: str
    refused: dict[str, int]
    jumps: tuple[KnownJump, ...]
    refusals: str
    factors: str


def read_manifest(folder: Path) -> Manifest:
    """Raises UserError if there is none that can be used, TransientError if it cannot be read."""
    try:
        content = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"There are no bars in {folder} yet; the data-fetcher has to fetch them first."
        ) from None
    except OSError as error:
        raise TransientError(
            f"the bar archive {folder} cannot be read: {error.strerror}"
        ) from error
    return decode_manifest(content, str(folder))


def decode_manifest(content: bytes, where: str) -> Manifest:
    """Raises UserError if it is damaged or of another format."""
    try:
        found = msgspec.json.decode(content, type=_Format).format
        if found != FORMAT:
            raise UserError(
                f"The bar archive {where} has format {found}, not {FORMAT}; fetch the bars again."
            )
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UserError(
            f"The manifest of the bar archive {where} is damaged ({error}); fetch the bars again."
        ) from error


class _Format(msgspec.Struct):
    format: int
