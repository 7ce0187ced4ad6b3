"""A witness's files as others read them: what it has countersigned, when last, and what it refused.

Mounted read-only into the auditor and the console; written by the witness alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.auditor.chain import signed_note
from services.auditor.chain.checkpoints import Checkpoint, NoteFileError, read_checkpoint
from services.auditor.chain.signed_note import Algorithm, NoteKey

WITNESSED = "witnessed.notes"
LATEST = "latest.note"
REFUSAL = "refusal.txt"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """What a witness said: at `at` (POSIX seconds) it had seen no larger tree than this."""

    name: str
    checkpoint: Checkpoint
    at: int


def cosignatures(checkpoint: Checkpoint, keys: Iterable[NoteKey]) -> list[Cosignature]:
    """Those of the witnesses' `keys` under a checkpoint. Raises ValueError if one does not hold."""
    found = signed_note.verify(checkpoint.note, keys)
    return [
        Cosignature(each.key.name, checkpoint, each.at)
        for each in found
        if each.key.algorithm is Algorithm.COSIGNATURE and each.at is not None
    ]


def witness_folders(folders: Iterable[Path]) -> list[Path]:
    """Where witnesses' files lie: in the folders named, or one level below them."""
    found = []
    for folder in folders:
        below = sorted(each.parent for each in folder.glob(f"*/{WITNESSED}"))
        found += [folder, *below] if (folder / WITNESSED).exists() or not below else below
    return found


def latest_cosignatures(folders: Iterable[Path], keys: Iterable[NoteKey]) -> list[Cosignature]:
    """The newest of each witness.

    Raises NoteFileError for a file that is no cosigned checkpoint.
    """
    known = tuple(keys)
    newest: dict[str, Cosignature] = {}
    for folder in witness_folders(folders):
        for each in _latest_of(folder / LATEST, known):
            if each.name not in newest or newest[each.name].at < each.at:
                newest[each.name] = each
    return list(newest.values())


def _latest_of(file: Path, keys: tuple[NoteKey, ...]) -> Iterator[Cosignature]:
    try:
        yield from cosignatures(read_checkpoint(file.read_text()), keys)
    except FileNotFoundError:
        return
    except (ValueError, OSError) as error:
        raise NoteFileError(f"{file} is no cosigned checkpoint: {error}") from error


def refusals(folders: Iterable[Path]) -> list[str]:
    """Why witnesses refuse to countersign, a sentence each."""
    files = (folder / REFUSAL for folder in witness_folders(folders))
    return [file.read_text().strip() for file in files if file.exists()]


@dataclass(frozen=True, slots=True)
class Quorum:
    """What `needed` of the witnesses vouch for: the size, and since when at the latest."""

    size: int
    at: int


def quorum_of(found: Iterable[Cosignature], needed: int) -> Quorum | None:
    """None while fewer than `needed` witnesses have spoken."""
    each = list(found)
    if len(each) < needed:
        return None
    sizes = sorted((one.checkpoint.size for one in each), reverse=True)
    times = sorted((one.at for one in each), reverse=True)
    return Quorum(sizes[needed - 1], times[needed - 1])
