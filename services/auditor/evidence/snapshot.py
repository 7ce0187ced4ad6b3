"""What of a folder is examined: as much as stood there at one moment; it may grow meanwhile.

Witnesses follow the auditor and checkpoints follow records, so they are looked at in that order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.auditor.chain.chain_state import ChainState
from services.auditor.chain.checkpoints import (
    FILE,
    FRESH,
    Checkpoint,
    NoteFileError,
    read_checkpoint,
    read_notes,
)
from services.auditor.chain.day_files import require_chain
from services.auditor.chain.memory import ChainPosition
from services.auditor.chain.witness_files import LATEST, WITNESSED, refusals, witness_folders
from services.auditor.evidence.findings import ChainFault, ChainFinding
from shared.domain.errors import UserError

# The auditor signs at most some tens of checkpoints a second: a few looks meet it between two.
_LOOKS = 50


@dataclass(frozen=True, slots=True)
class Resume:
    """A chain verified before, up to a position.

    Of its checkpoints `notes_size` bytes were read.
    """

    position: ChainPosition
    sealed: int
    notes_size: int


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """Where a record stands, and the chain as counted before it."""

    file: Path
    offset: int
    state: ChainState


@dataclass
class Snapshot:
    """Sizes of the day files and note files; small files whole. `torn` is set as lines are read."""

    folder: Path
    anchors: Sequence[Path] = ()
    witnesses: Sequence[Path] = ()
    resume: Resume | None = None
    torn: bool = False
    latest: list[Checkpoint] = field(default_factory=list)
    fresh: Checkpoint | None = None

    def __post_init__(self) -> None:
        for anchor in self.anchors:
            if not anchor.is_file():
                raise UserError(
                    f"There is no anchor {anchor}; name a file of exported checkpoints."
                )
        require_chain(self.folder)
        self.reading, self.reading_from = Path(), 0
        self.witness_folders = witness_folders(self.witnesses)
        self.refusals = refusals(self.witnesses)
        self.latest = [note for each in self.witness_folders if (note := _one_note(each / LATEST))]
        self._witnessed = {
            each / WITNESSED: _size(each / WITNESSED) for each in self.witness_folders
        }
        self.fresh = _one_note(self.folder / FRESH)
        if self.fresh and self.resume and self.fresh.size < self.resume.position.height:
            self.fresh = None
        self._notes = self._sizes_at_rest()

    def _sizes_at_rest(self) -> int:
        """The notes' size, taken before and after the records' sizes and found the same."""
        file = self.folder / FILE
        for _ in range(_LOOKS):
            before = _size(file)
            self._files = [(each, each.stat().st_size) for each in require_chain(self.folder)]
            if _size(file) == before:
                break
        return before

    def own_notes(self) -> Iterator[Checkpoint]:
        start = self.resume.notes_size if self.resume else 0
        return read_notes(self.folder / FILE, self._notes, start=start)

    def notes_of_witnesses(self) -> list[Iterator[Checkpoint]]:
        return [read_notes(file, size) for file, size in self._witnessed.items()]

    def lines(self) -> Iterator[bytes]:
        """Every record's line without its newline; a torn end is passed over and noted."""
        start = self.resume.position if self.resume else ChainPosition()
        for number, (file, size) in enumerate(self._files):
            if file.name < start.file:
                continue
            with file.open("rb") as handle:
                self.reading, read = file, start.offset if file.name == start.file else 0
                self.reading_from = read
                handle.seek(read)
                for line in handle:
                    read += len(line)
                    if line.endswith(b"\n") and read <= size:
                        yield line[:-1]
                        continue
                    self._judge_end(file, number, read > size)
                    break

    def _judge_end(self, file: Path, number: int, is_growing: bool) -> None:
        if number < len(self._files) - 1:
            sentence = f"{file.name} ends in the middle of a record"
            raise ChainFault(ChainFinding.BROKEN_LINK, sentence)
        self.torn = not is_growing


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _one_note(file: Path) -> Checkpoint | None:
    try:
        return read_checkpoint(file.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        sentence = f"{file} holds what is no checkpoint: {error}"
        raise ChainFault(ChainFinding.BAD_SIGNATURE, sentence) from NoteFileError(sentence)
