"""A second pair of eyes: countersigns a checkpoint only if the chain merely grew.

It keeps the tree it has seen and recounts every record since; who holds the auditor's key alone can
no longer show two histories. Run by __main__ with the chain mounted read-only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.auditor.chain import signed_note
from services.auditor.chain.chain_state import SEALED, ChainState
from services.auditor.chain.checkpoints import (
    FILE,
    Checkpoint,
    TornNote,
    append_note,
    mend_notes,
    read_notes,
    replace_note,
)
from services.auditor.chain.day_files import day_files
from services.auditor.chain.memory import ChainPosition
from services.auditor.chain.merkle import leaf_hash
from services.auditor.chain.record import BrokenLink, NotCanonical, hash_of_line, open_line
from services.auditor.chain.signed_note import Algorithm, NoteKey
from services.auditor.chain.trust import WITNESS_NAME, auditor_keys
from services.auditor.chain.witness_files import LATEST, WITNESSED
from shared.domain.errors import InvariantBroken
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.signing import Signer
from shared.schemas.json_types import JsonMapping

POSITION = "position.json"
# As often as the auditor itself speaks when nothing happens: the time is signed anew.
RENEW_SECONDS = 60
# Bytes: the end of a note holds its signatures, that of a record its hash.
_LOOKED_AT = 512


@dataclass
class Witness:
    """`chain` is the auditor's folder, `folder` its own; `auditor_key` is the pinned key.

    `memory_lost` says that its own files hold less than it, or the chain, knows it has signed: it
    then recounts the chain from the beginning.
    """

    chain: Path
    folder: Path
    signer: Signer
    auditor_key: bytes
    clock: Clock | None = None
    memory_lost: bool = False

    def __post_init__(self) -> None:
        self._clock = self.clock or SystemClock()
        self._read_to, self._tail = 0, b""
        self.cosigned_at = 0
        self._newest: Checkpoint | None = None
        self._witnessed, is_whole = read_own_notes(self.folder / WITNESSED, self.signer)
        if not is_whole:
            self._begin_anew()
        else:
            self._go_on()

    def _go_on(self) -> None:
        self._newest = max(self._witnessed.values(), key=lambda note: note.size, default=None)
        self._last = self._newest.size if self._newest else 0
        self._known_at_start: int | None = self._last
        self._position = self._read_position()

    def _begin_anew(self) -> None:
        """Its notes are not whole: set them aside, count the chain again and sign it again.

        What they still say, if it bears its own signature, the chain must agree with.
        """
        file = self.folder / WITNESSED
        if file.exists():
            file.replace(file.with_name(f"{file.name}.damaged-{int(self._now())}"))
        self.memory_lost = True
        self._newest, self._last, self._known_at_start = None, 0, 0
        self._position, self._read_to, self._tail = ChainPosition(), 0, b""

    @property
    def height(self) -> int:
        """So many records were seen, and their order vouched for."""
        return self._position.height

    def look(self) -> int:
        """Countersign what is new, or the time anew; the number of new checkpoints.

        Raises InvariantBroken on a fork, a cut or a note that is none, and signs nothing then.
        """
        if self._known_at_start is not None and self._lacks_a_note():
            self._begin_anew()
        signed = sum(
            self._follow(note) for note in self._notes() if note.size > self._position.height
        )
        self._witnessed.clear()
        self._known_at_start = None
        if self._newest and self._now() - self.cosigned_at >= RENEW_SECONDS:
            self._show(self._cosign(self._newest))
        return signed

    def _lacks_a_note(self) -> bool:
        """Whether it has not signed every checkpoint up to its position, as it does.

        Raises InvariantBroken if the auditor now shows another one.
        """
        found = False
        for note in self._notes(keep=False):
            known = self._witnessed.get(note.size)
            if known and known.root != note.root:
                raise InvariantBroken(
                    f"the checkpoint over {note.size} records is not the one witnessed: a fork"
                )
            found = found or (known is None and note.size <= self._position.height)
        return found

    # --- the chain's side -------------------------------------------------------------------------

    def _notes(self, *, keep: bool = True) -> Iterator[Checkpoint]:
        """What was added to the auditor's checkpoints since the last look.

        Without `keep` the next call reads it again.
        """
        file = self.chain / FILE
        size = file.stat().st_size if file.exists() else 0
        if size < self._read_to or _bytes_before(file, self._read_to) != self._tail:
            raise InvariantBroken(f"the checkpoints in {file} are not those read before: a fork")
        self._require_last_record()
        newest = 0
        try:
            for note in read_notes(file, size, start=self._read_to):
                newest = note.size
                yield note
        except TornNote:
            # Read in the middle of a write; the next look sees it whole.
            return
        except ValueError as error:
            raise InvariantBroken(f"a checkpoint cannot be read: {error}") from error
        if newest < self._position.height and self._read_to == 0 and self._position.height:
            raise InvariantBroken(
                f"{self._position.height} records were witnessed, "
                f"but the auditor's checkpoints end at {newest}: they were cut"
            )
        if keep:
            self._read_to, self._tail = size, _bytes_before(file, size)

    def _require_last_record(self) -> None:
        """The last record that was seen stands where it stood."""
        seen = self._position
        if not seen.height:
            return
        end = _bytes_before(self.chain / seen.file, seen.offset)
        if hash_of_line(end.rstrip(b"\n")) != seen.head:
            raise InvariantBroken(
                f"the last of the {seen.height} records seen is not what it was: a fork, or a cut"
            )

    def _follow(self, note: Checkpoint) -> int:
        keys = auditor_keys(self.auditor_key, note.chain_id)
        try:
            held = signed_note.verify(note.note, keys)
        except ValueError:
            held = []
        if {each.key.algorithm for each in held} != set(Algorithm):
            raise InvariantBroken(
                f"the checkpoint over {note.size} records is not signed by the auditor"
            )
        grown = self._extend_to(note.size)
        if grown.chain_state().tree.root() != note.root:
            raise InvariantBroken(
                f"the first {note.size} records are not the ones seen before and since: a fork"
            )
        if note.size <= self._last:
            self._keep(grown)
            return 0
        cosigned = self._cosign(note)
        append_note(self.folder / WITNESSED, cosigned.text)
        self._last = note.size
        self._keep(grown)
        self._show(cosigned)
        return 1

    def _extend_to(self, size: int) -> ChainPosition:
        state = self._position.chain_state()
        for file, offset, line in self._lines_since():
            try:
                payload, this_hash = open_line(line, state.head)
            except (NotCanonical, BrokenLink) as error:
                raise InvariantBroken(
                    f"record {state.height} does not follow what was seen: {error}"
                ) from error
            self._compare_claim(payload)
            state.tree.append(leaf_hash(line))
            state.head = this_hash
            self._require_witnessed(state)
            if state.height == size:
                return ChainPosition.of(state, file, offset)
        raise InvariantBroken(
            f"a checkpoint covers {size} records, but only {state.height} are there"
        )

    def _compare_claim(self, payload: JsonMapping) -> None:
        """The chain says what was countersigned before this process began."""
        known = self._known_at_start
        if known is not None and payload.get("type") == SEALED:
            self.memory_lost = self.memory_lost or payload.get("cosigned", 0) > known

    def _require_witnessed(self, state: ChainState) -> None:
        """After a lost position the chain is recounted: it must be the one that was signed."""
        known = self._witnessed.get(state.height)
        if known and known.root != state.tree.root():
            raise InvariantBroken(
                f"the first {state.height} records are not those that were witnessed: a fork"
            )

    def _lines_since(self) -> Iterator[tuple[str, int, bytes]]:
        """(file, offset behind the line, line) of what was appended since the last look."""
        seen = self._position
        for file in day_files(self.chain):
            if file.name < seen.file:
                continue
            start = seen.offset if file.name == seen.file else 0
            if file.stat().st_size < start:
                raise InvariantBroken(f"{file.name} is shorter than it was: the chain was cut")
            with file.open("rb") as handle:
                handle.seek(start)
                for line in handle:
                    start += len(line)
                    yield file.name, start, line.removesuffix(b"\n")

    # --- its own side -----------------------------------------------------------------------------

    def _cosign(self, note: Checkpoint) -> Checkpoint:
        """The checkpoint under the witness's own signature and time."""
        body = note.note.body
        line = signed_note.cosign(self.signer, WITNESS_NAME, body, self._now())
        others = [each for each in note.note.signatures if each.name != WITNESS_NAME]
        signed = signed_note.SignedNote(body, (*others, line))
        return Checkpoint(note.origin, note.size, note.root, signed)

    def _show(self, cosigned: Checkpoint) -> None:
        """For the auditor, the console and whoever asks how old the newest word is."""
        replace_note(self.folder / LATEST, cosigned.text)
        self._newest, self.cosigned_at = cosigned, self._now()

    def _keep(self, grown: ChainPosition) -> None:
        aside = self.folder / f".{POSITION}"
        aside.write_bytes(msgspec.json.encode(grown))
        aside.replace(self.folder / POSITION)
        self._position = grown

    def _read_position(self) -> ChainPosition:
        """Only one that agrees with the notes is gone on from; else all is counted again."""
        try:
            position = msgspec.json.decode(
                (self.folder / POSITION).read_bytes(), type=ChainPosition
            )
        except (FileNotFoundError, msgspec.MsgspecError, ValueError):
            position = None
        known = self._witnessed.get(position.height) if position else None
        if position and known and known.root == _root(position):
            return position
        self.memory_lost = position is not None or bool(self._witnessed)
        return ChainPosition()

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def _bytes_before(file: Path, offset: int) -> bytes:
    """Enough of them to tell one note, or one record, from another."""
    if not file.exists():
        return b""
    with file.open("rb") as handle:
        handle.seek(max(0, offset - _LOOKED_AT))
        return handle.read(offset - handle.tell())


def read_own_notes(file: Path, signer: Signer) -> tuple[dict[int, Checkpoint], bool]:
    """(what bears this witness's own signature, by size; whether that is all there is)."""
    mend_notes(file)
    key = NoteKey(WITNESS_NAME, Algorithm.COSIGNATURE, signer.public)
    found: dict[int, Checkpoint] = {}
    try:
        for note in read_notes(file):
            if not signed_note.verify(note.note, [key]):
                return found, False
            found[note.size] = note
    except ValueError:
        return found, False
    return found, True


def _root(position: ChainPosition) -> bytes:
    return position.chain_state().tree.root()
