"""A second pair of eyes with a key and a volume of its own: countersigns a checkpoint only if the chain merely grew.

Run beside the auditor (`python -m services.auditor.evidence.witness`) with the chain mounted
read-only. It keeps the tree it has seen and recounts every record since; who holds the auditor's
key alone can no longer show two histories.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import msgspec

from services.auditor.chain.checkpoints import (
    FILE,
    Note,
    append_note,
    is_signed,
    mend_notes,
    pinned_key,
    read_notes,
    write_note,
)
from services.auditor.chain.day_files import day_files
from services.auditor.chain.merkle import leaf_hash
from services.auditor.chain.record import BrokenLink, NotCanonical, open_line
from services.auditor.chain.recovery import POSITION, Position
from shared.domain.errors import InvariantBroken, TransientError
from shared.runtime.config.settings import load_settings
from shared.runtime.observability.telemetry import configure_logging, logger
from shared.runtime.runner.wiring import guarded, stop_on_signal
from shared.runtime.signing import Signer, key_id_of
from shared.schemas.streams import ServiceName

WITNESSED = "witnessed.notes"
LOOK_SECONDS = 10.0


@dataclass
class Witness:
    """`chain` is the auditor's folder, `folder` the witness's own; `auditor_key` is never the chain's own word."""

    chain: Path
    folder: Path
    signer: Signer
    auditor_key: bytes

    def __post_init__(self) -> None:
        mend_notes(self.folder / WITNESSED)
        self._position = self._read_position()

    @property
    def height(self) -> int:
        """So many records were seen, and their order vouched for."""
        return self._position.height

    def look(self) -> int:
        """Countersign what is new; the number of checkpoints. Raises InvariantBroken, signing nothing, on a fork."""
        signed = 0
        try:
            for note in read_notes(self.chain / FILE):
                if note.size > self._position.height:
                    self._countersign(note)
                    signed += 1
        except ValueError as error:
            raise InvariantBroken(f"a checkpoint cannot be read: {error}") from error
        return signed

    def _countersign(self, note: Note) -> None:
        if not is_signed(note, {key_id_of(self.auditor_key): self.auditor_key}):
            raise InvariantBroken(
                f"the checkpoint over {note.size} records is not signed by the auditor"
            )
        grown = self._grown_to(note.size)
        root = grown.standing().tree.root()
        if root.hex() != note.root:
            raise InvariantBroken(
                f"the first {note.size} records are not the ones seen before and since: a fork"
            )
        text = write_note(self.signer, chain_id=note.chain_id, size=note.size, root=root)
        append_note(self.folder / WITNESSED, text)
        aside = self.folder / f".{POSITION}"
        aside.write_bytes(msgspec.json.encode(grown))
        aside.replace(self.folder / POSITION)
        self._position = grown

    def _grown_to(self, size: int) -> Position:
        standing = self._position.standing()
        for file, offset, line in self._lines_since():
            try:
                _, this_hash = open_line(line, standing.head)
            except (NotCanonical, BrokenLink) as error:
                raise InvariantBroken(
                    f"record {standing.height} does not follow what was seen: {error}"
                ) from error
            standing.tree.append(leaf_hash(line))
            standing.head = this_hash
            if standing.height == size:
                peaks = tuple(peak.hex() for peak in standing.tree.peaks)
                return Position(
                    height=size, head=standing.head, file=file, offset=offset, peaks=peaks
                )
        raise InvariantBroken(
            f"a checkpoint covers {size} records, but only {standing.height} are there"
        )

    def _lines_since(self) -> Iterator[tuple[str, int, bytes]]:
        """(file, offset behind the line, line) of what was appended since the last look."""
        seen = self._position
        for file in day_files(self.chain):
            if file.name < seen.file:
                continue
            start = seen.offset if file.name == seen.file else 0
            with file.open("rb") as handle:
                handle.seek(start)
                for line in handle:
                    start += len(line)
                    yield file.name, start, line.removesuffix(b"\n")

    def _read_position(self) -> Position:
        try:
            return msgspec.json.decode((self.folder / POSITION).read_bytes(), type=Position)
        except FileNotFoundError:
            return Position()
        except msgspec.MsgspecError as error:
            raise InvariantBroken(f"{self.folder / POSITION} is unreadable: {error}") from error


def watch(witness: Witness, stop: Event) -> None:
    """Look every ten seconds. A full disk is waited for; a fork ends the process, loudly, for good."""
    while not stop.is_set():
        try:
            if signed := witness.look():
                logger().info("countersigned", checkpoints=signed, height=witness.height)
        except TransientError as error:
            logger().warning("transient_error", error=str(error))
        stop.wait(LOOK_SECONDS)


def main() -> None:
    settings = load_settings(os.environ)
    configure_logging(settings, "witness")
    environment = settings.environment
    environment.state_dir.mkdir(parents=True, exist_ok=True)
    key = pinned_key(environment.public_keys_file, ServiceName.AUDITOR.value)
    signer = Signer.load(environment.signing_key_file)
    watch(Witness(environment.audit_dir, environment.state_dir, signer, key), stop_on_signal())


if __name__ == "__main__":
    sys.exit(guarded(main))
