"""One process at a time: an advisory lock on an open file, released when the process ends.

The system's module is imported when the first lock is taken, so that the package imports anywhere.
"""

import sys
from typing import IO, Any


def try_lock(file: IO[Any]) -> bool:
    """Take the lock; False if another process holds it. Raises OSError where locks are unknown."""
    try:
        _lock(file)
    except (BlockingIOError, PermissionError):
        return False
    return True


if sys.platform == "win32":

    def _lock(file: IO[Any]) -> None:
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:

    def _lock(file: IO[Any]) -> None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
