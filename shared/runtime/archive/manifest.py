"""What one view of the bar archive consists of, and the names of its files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec

from shared.domain.errors import TransientError, UserError
from shared.domain.market.adjustment import Basis

FORMAT = 2
MANIFEST = "manifest.json"
ARRAYS = "arrays"
PARTS = "bars"
REFUSALS = "refusals.parquet"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What one view of the archive consists of. `digests[i]` covers the sessions up to and with `sessions[i]`."""

    format: int
    basis: Basis
    source: str
    generation: str
    symbols: tuple[str, ...]
    sessions: tuple[dt.date, ...]
    digests: tuple[str, ...]
    parts: tuple[str, ...]
    refused: dict[str, int]


def read_manifest(folder: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise UserError(
            f"There are no bars in {folder} yet; the data-fetcher has to fetch them first."
        ) from None
    except OSError as error:
        raise TransientError(
            f"the bar archive {folder} cannot be read: {error.strerror}"
        ) from error
    except msgspec.MsgspecError as error:
        raise UserError(
            f"The manifest of the bar archive {folder} is damaged ({error}); fetch the bars again."
        ) from error
    if manifest.format != FORMAT:
        raise UserError(
            f"The bar archive {folder} has format {manifest.format}, not {FORMAT}; fetch the bars again."
        )
    return manifest
