"""Which instance of a service this process is: a name kept on the service's own volume, held by a file lock.

Called once by each service's start. The same volume gives the same name back after a crash, so the
lease is retaken at once; a second process on the volume finds the first name taken and gets the
next, so it can only stand by.
"""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from shared.domain.errors import UserError
from shared.schemas.streams import ServiceName

MOST_INSTANCES = 16


@contextmanager
def instance_id(state_dir: Path, service: ServiceName) -> Iterator[str]:
    """Held until the block ends or the process dies; raises UserError if the folder cannot be used."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        file = _first_free(state_dir)
    except OSError as error:
        sentence = (
            f"{service.value} cannot keep its instance name in {state_dir}: {error.strerror}."
        )
        raise UserError(sentence, exit_code=2) from error
    with file:
        yield f"{service.value}-{_name_in(file)}"


def _first_free(folder: Path) -> TextIOWrapper:
    for number in range(MOST_INSTANCES):
        file = (folder / f"instance-{number}").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            file.close()
    raise UserError(
        f"{MOST_INSTANCES} processes use {folder} already; one more is surely a mistake.",
        exit_code=2,
    )


def _name_in(file: TextIOWrapper) -> str:
    file.seek(0)
    name = file.read().strip()
    if not name:
        name = secrets.token_hex(8)
        file.write(name)
        file.flush()
    return name
