"""Where a fetch keeps what it has, unit by unit, until all is there.

Files that are whole or absent.

In the archive's folder, for in a container nothing else lasts; a killed fetch finds them again and
asks only for the rest.
"""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from services.data_fetcher.backfill.plan import ActionsUnit, BarsUnit, Unit
from shared.domain.errors import UserError
from shared.domain.market.bars import Bars
from shared.runtime.archive import parts
from shared.runtime.atomic_file import replacement, write_file
from shared.schemas.corporate_actions import CorporateActions

FOLDER = ".fetching"
DISK_FULL = 74
"""Exit code (that of input and output errors): the same command goes on once there is room."""


class Staging:
    def __init__(self, archive: Path, key: str) -> None:
        self.archive, self.key = archive.absolute(), key
        self._folder = self.archive / FOLDER / key

    def is_staged(self, unit: Unit) -> bool:
        """Whether the unit is there and readable; a damaged one is asked for again."""
        file = self._file(unit)
        if not file.is_file():
            return False
        try:
            if isinstance(unit, BarsUnit):
                parts.read_bars(file)
            else:
                _read_actions(file)
        except (UserError, msgspec.MsgspecError, OSError):
            return False
        return True

    def write_bars(self, unit: BarsUnit, bars: Bars) -> None:
        """Raises UserError if the disk is full."""
        with _room(self._folder), replacement(self._file(unit), durable=False) as draft:
            parts.write(draft, bars)

    def write_actions(self, unit: ActionsUnit, actions: CorporateActions) -> None:
        """Raises UserError if the disk is full."""
        with _room(self._folder):
            write_file(self._file(unit), msgspec.json.encode(actions), durable=False)

    def read_bars(self, unit: BarsUnit) -> Bars:
        return parts.read_bars(self._file(unit))

    def read_actions(self, unit: ActionsUnit) -> CorporateActions:
        return _read_actions(self._file(unit))

    def clear(self) -> None:
        """Remove this request's files, and the folder if no other request has any there."""
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            self._folder.parent.rmdir()
        except OSError:
            return

    def _file(self, unit: Unit) -> Path:
        name = hashlib.sha256(msgspec.json.encode(unit)).hexdigest()[:20]
        kind = "parquet" if isinstance(unit, BarsUnit) else "json"
        return self._folder / f"{name}.{kind}"


def _read_actions(file: Path) -> CorporateActions:
    return msgspec.json.decode(file.read_bytes(), type=CorporateActions)


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written: {error.strerror or error}. What was fetched is kept: "
            f"make room, then "
            "start the same command again.",
            exit_code=DISK_FULL,
        ) from error
