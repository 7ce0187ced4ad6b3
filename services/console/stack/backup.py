"""A backup of what cannot be made again: the chain, the witness's word, the journal, configuration.

Called by `kobe backup`. A zip file with a manifest of digests; the chain is verified before it is
packed, when a backup is judged and before anything is restored. No secret is in it.
"""

import datetime as dt
import hashlib
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec

from services.auditor.chain.checkpoints import FILE, read_notes
from services.auditor.chain.day_files import require_chain
from services.auditor.chain.memory import MEMORY, ChainMemory, ChainPosition, save_memory
from services.auditor.chain.recovery import recover
from services.auditor.chain.trust import Trust
from services.auditor.evidence.findings import Verdict
from services.auditor.evidence.verify import require_proof, verify_folder
from shared.domain.errors import UserError

MANIFEST = "manifest.json"
AUDIT, WITNESS, JOURNAL, CONFIG, STATES = "audit", "witness", "journal", "config", "redis"
# Never packed: drafts of files that are being replaced.
_PASSED_OVER = (".",)
_PIECE = 1 << 20


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """`files` are the SHA-256 (hex) of each by its name in the zip."""

    made_at: dt.datetime
    records: int
    head: str | None
    files: dict[str, str]


def create(
    out: Path,
    parts: Mapping[str, Path],
    trust: Trust,
    *,
    states: Mapping[str, object],
    now: dt.datetime,
) -> BackupManifest:
    """Pack the parts (name -> folder or file) into `out`; what is not there is left out.

    Raises UserError if the chain proves nothing, or `out` is there already or cannot be written.
    """
    if out.exists():
        raise UserError(f"{out} is there already; a backup never replaces another.")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name, place in parts.items():
            _copy(name, place, copy / name)
        (copy / STATES).mkdir()
        (copy / STATES / "states.json").write_bytes(msgspec.json.encode(states))
        verdict = _judge(copy, trust)
        files = {_name(file, copy): _digest(file) for file in _files(copy)}
        manifest = BackupManifest(
            made_at=now, records=verdict.height, head=verdict.head, files=files
        )
        try:
            _write(out, copy, manifest)
        except OSError as error:
            raise UserError(f"{out} cannot be written: {error.strerror}.") from error
    return manifest


def _copy(name: str, place: Path, to: Path) -> None:
    if name == JOURNAL and place.is_file():
        # A database that is written to is copied by its own means.
        to.mkdir(parents=True)
        with (
            closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(to / place.name)) as copy,
        ):
            source.backup(copy)
    elif name == AUDIT:
        to.mkdir(parents=True)
        _copy_chain(place, to)
    elif place.is_dir():
        to.mkdir(parents=True)
        for file in place.iterdir():
            if file.is_file() and not file.name.startswith(_PASSED_OVER):
                shutil.copyfile(file, to / file.name)
    elif place.is_file():
        to.mkdir(parents=True)
        shutil.copyfile(place, to / place.name)


def _copy_chain(place: Path, to: Path) -> None:
    """The checkpoints, then the records they cover; the chain may grow meanwhile."""
    shutil.copyfile(place / FILE, to / FILE)
    left = max((note.size for note in read_notes(to / FILE)), default=0)
    for file in require_chain(place):
        if left == 0:
            break
        with file.open("rb") as source, (to / file.name).open("wb") as target:
            for line in islice(source, left):
                target.write(line)
                left -= 1


def _write(out: Path, copy: Path, manifest: BackupManifest) -> None:
    draft = out.with_name(f".{out.name}.draft")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        for file in _files(copy):
            archive.write(file, _name(file, copy))
    draft.replace(out)


def read_manifest(file: Path) -> BackupManifest:
    """Raises UserError if it is no backup."""
    try:
        with zipfile.ZipFile(file) as archive:
            return msgspec.json.decode(archive.read(MANIFEST), type=BackupManifest)
    except (zipfile.BadZipFile, KeyError, OSError, msgspec.MsgspecError) as error:
        raise UserError(f"{file} is no backup of `kobe backup create`: {error}.") from error


def verify(file: Path, trust: Trust) -> Verdict:
    """Every file against its digest, and the chain as `kobe audit verify` does.

    Raises UserError, with the finding's exit code where the chain proves nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _unpack(file, Path(folder), trust)


def restore(file: Path, into: Path, trust: Trust) -> Verdict:
    """Lay it out as a stack's folders in an empty `into`, after verifying it.

    The auditor's memory is made from the chain that was proved, so that it goes on with it. Redis
    is not restored: a stack comes up halted until it has reconciled with the broker and is resumed.
    Raises UserError if `into` is not empty, or the backup does not verify.
    """
    if into.exists() and any(into.iterdir()):
        raise UserError(f"{into} is not empty; a backup is restored into an empty folder.")
    with tempfile.TemporaryDirectory(dir=into.parent) as folder:
        copy = Path(folder) / "copy"
        verdict = _unpack(file, copy, trust)
        found = recover(copy / AUDIT, None, public_key=trust.auditor or b"")
        position = ChainPosition.of(found.state, found.file, found.offset)
        memory = ChainMemory(position=position, cosigned=verdict.cosigned)
        save_memory(copy / "state" / "auditor" / MEMORY, memory)
        if into.exists():
            into.rmdir()
        copy.replace(into)
    return verdict


def _unpack(file: Path, folder: Path, trust: Trust) -> Verdict:
    manifest = read_manifest(file)
    with zipfile.ZipFile(file) as archive:
        for name, digest in manifest.files.items():
            place = (folder / name).resolve()
            if not place.is_relative_to(folder.resolve()):
                raise UserError(f"{file} names a file outside of itself: {name!r}.")
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                with archive.open(name) as source, place.open("wb") as target:
                    shutil.copyfileobj(source, target, _PIECE)
            except (KeyError, OSError, zipfile.BadZipFile) as error:
                raise UserError(f"{file} does not hold {name} whole: {error}.") from error
            if _digest(place) != digest:
                raise UserError(f"{name} in {file} is not what was packed.")
    return _judge(folder, trust)


def _judge(folder: Path, trust: Trust) -> Verdict:
    witnesses = [folder / WITNESS] if (folder / WITNESS).is_dir() else []
    return require_proof(verify_folder(folder / AUDIT, trust=trust, witnesses=witnesses))


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(file for file in folder.rglob("*") if file.is_file())


def _name(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _digest(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
