"""Which instance of a service this process is: a name on the service's own volume, under a lock.

Called once by each service's start. The same volume gives the same name back after a crash, so the
lease is retaken at once; a second process on the volume finds the first name taken and gets the
next, so it can only stand by.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from shared.domain.errors import UserError
from shared.runtime.locking import try_lock
from shared.schemas.streams import ServiceName

# One is active and one stands by; more than a few on one volume is a mistake, not a plan.
MOST_INSTANCES = 16


@contextmanager
def instance_id(state_dir: Path, service: ServiceName) -> Iterator[str]:
    """The name, ours until the block ends or the process dies.

    Raises UserError if the folder cannot be used.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        file = _lock_first_free(state_dir)
    except OSError as error:
        raise UserError(
            f"{service.value} cannot keep its instance name in {state_dir}: {error.strerror}.",
            exit_code=2,
        ) from error
    with file:
        yield f"{service.value}-{_name_in(file)}"


def _lock_first_free(folder: Path) -> TextIOWrapper:
    for number in range(MOST_INSTANCES):
        file = (folder / f"instance-{number}").open("a+")
        if try_lock(file):
            return file
        file.close()
    raise UserError(
        f"{MOST_INSTANCES} processes use {folder} already; one more is surely a mistake.",
        exit_code=2,
    )


def _name_in(file: TextIOWrapper) -> str:
    """The name in the file; a new one is written into an empty file."""
    file.seek(0)
    name = file.read().strip()
    if not name:
        name = secrets.token_hex(8)
        file.write(name)
        file.flush()
    return name
