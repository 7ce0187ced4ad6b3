"""A second pair of eyes: countersigns a checkpoint only if the chain merely grew.

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
    cut_torn_note,
    is_signed,
    load_public_key,
    read_notes,
    write_note,
)
from services.auditor.chain.day_files import day_files
from services.auditor.chain.merkle import leaf_hash
from services.auditor.chain.record import BrokenLink, NotCanonical, open_line
from services.auditor.chain.recovery import POSITION, ChainPosition
from shared.domain.errors import InvariantBroken, TransientError
from shared.runtime.atomic_file import write_file
from shared.runtime.config.settings import load_settings
from shared.runtime.observability.log import configure_logging, logger
from shared.runtime.runner.wiring import exit_code_of, stop_on_signal
from shared.runtime.signing import Signer, key_id_of
from shared.schemas.streams import ServiceName

WITNESSED = "witnessed.notes"
# Checkpoints come at least every 60 s; the window for a rewrite grows by no more than this.
LOOK_SECONDS = 10.0


@dataclass
class Witness:
    """`chain` is the auditor's folder, `folder` its own; `auditor_key` is the pinned key."""

    chain: Path
    folder: Path
    signer: Signer
    auditor_key: bytes

    def __post_init__(self) -> None:
        cut_torn_note(self.folder / WITNESSED)
        self._position = self._read_position()

    @property
    def height(self) -> int:
        """So many records were seen, and their order vouched for."""
        return self._position.height

    def look(self) -> int:
        """Countersign what is new; the number of checkpoints.

        Raises InvariantBroken on a fork, and signs nothing then.
        """
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
        grown = self._extend_to(note.size)
        root = grown.chain_state().tree.root()
        if root.hex() != note.root:
            raise InvariantBroken(
                f"the first {note.size} records are not the ones seen before and since: a fork"
            )
        text = write_note(self.signer, chain_id=note.chain_id, size=note.size, root=root)
        append_note(self.folder / WITNESSED, text)
        write_file(self.folder / POSITION, msgspec.json.encode(grown))
        self._position = grown

    def _extend_to(self, size: int) -> ChainPosition:
        state = self._position.chain_state()
        for file, offset, line in self._lines_since():
            try:
                _, this_hash = open_line(line, state.head)
            except (NotCanonical, BrokenLink) as error:
                raise InvariantBroken(
                    f"record {state.height} does not follow what was seen: {error}"
                ) from error
            state.tree.append(leaf_hash(line))
            state.head = this_hash
            if state.height == size:
                peaks = tuple(peak.hex() for peak in state.tree.peaks)
                return ChainPosition(
                    height=size, head=state.head, file=file, offset=offset, peaks=peaks
                )
        raise InvariantBroken(
            f"a checkpoint covers {size} records, but only {state.height} are there"
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

    def _read_position(self) -> ChainPosition:
        try:
            return msgspec.json.decode((self.folder / POSITION).read_bytes(), type=ChainPosition)
        except FileNotFoundError:
            return ChainPosition()
        except msgspec.MsgspecError as error:
            raise InvariantBroken(f"{self.folder / POSITION} is unreadable: {error}") from error


def watch(witness: Witness, stop: Event) -> None:
    """Look every ten seconds. A full disk is waited for; a fork ends the process for good."""
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
    key = load_public_key(environment.public_keys_file, ServiceName.AUDITOR.value)
    signer = Signer.load(environment.signing_key_file)
    watch(Witness(environment.audit_dir, environment.state_dir, signer, key), stop_on_signal())


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
