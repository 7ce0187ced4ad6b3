"""An honest stack as files and keys, restored for each attacker, who holds a part of it."""

from __future__ import annotations

import datetime as dt
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from services.auditor.chain.trust import Trust
from services.auditor.evidence.findings import Verdict
from services.auditor.evidence.verify import verify_folder
from services.auditor.witness.witness import Witness
from shared.domain.errors import InvariantBroken, UserError
from shared.runtime.signing import Keyring, Signer
from shared.schemas.envelope import to_fields
from shared.schemas.messages import SessionClosed
from shared.schemas.streams import Stream
from tests.builders import SESSION, approval, envelope
from tests.unit.auditor.bench import Bench
from tests.unit.auditor.chains import memory_of

STATE = "kobe:state:auditor"


@dataclass
class World:
    """A running stack: `turn` lets it live on; its folders lie side by side under `folder`."""

    folder: Path
    dice: random.Random
    gate: Signer = field(default_factory=Signer.generate)
    number: int = 0

    def __post_init__(self) -> None:
        self.bench = Bench(self.folder / "audit")
        self.bench.stop()
        self.bench.witnesses = [self.folder / "witness"]
        self.bench.witnesses[0].mkdir(exist_ok=True)
        self.bench.recorder = self.bench.make()
        self.bench.start()

    @property
    def audit(self) -> Path:
        return self.bench.folder

    @property
    def witness_folder(self) -> Path:
        return self.bench.witnesses[0]

    def turn(self) -> None:
        """Some orders, some time, sometimes the end of a session or a new day.

        The witness looks.
        """
        for _ in range(self.dice.randrange(5)):
            self.number += 1
            made = envelope(approval(), seq=self.number)
            signed = self.gate.sign(made) if self.number % 7 == 0 else made
            kind = {} if self.number % 7 == 0 else {"type": "OrderDenied"}
            self.bench.server.append(Stream.ORDERS.key, {**to_fields(signed), **kind})
        if self.dice.random() < 0.3:
            closed = envelope(SessionClosed(session=SESSION), seq=self.closed)
            self.bench.server.append(Stream.SCHEDULE.key, to_fields(closed))
        self.bench.pass_time(self.dice.choice([1, 4, 9, 20, 61]))
        self.bench.recorder.turn()
        if self.dice.random() < 0.8:
            self.look()

    @property
    def closed(self) -> int:
        return len(self.bench.server.stream(Stream.SCHEDULE.key).entries) + 1

    def look(self) -> None:
        """As the witness's process does: a refusal is kept, and no signature given."""
        try:
            self.witness().look()
        except InvariantBroken as error:
            (self.witness_folder / "refusal.txt").write_text(str(error))

    def witness(self) -> Witness:
        bench = self.bench
        return Witness(
            bench.folder, self.witness_folder, bench.witness, bench.signer.public, bench.clock
        )

    def next_day(self) -> None:
        self.bench.pass_time(86_400)

    def judge(self) -> Verdict:
        keys = [("auditor", self.bench.signer), ("risk-gate", self.gate)]
        keyring = Keyring.of([signer.public_key(owner) for owner, signer in keys])
        trust = Trust(self.bench.signer.public, self.bench.witness_keys, keyring)
        return verify_folder(
            self.audit, trust=trust, witnesses=[self.witness_folder], as_of=self.bench.clock.now()
        )

    def restart(self) -> str:
        """Why the auditor refuses to go on; empty: it goes on, and the witness looks at it."""
        self.bench.stop()
        try:
            self.bench.recorder = self.bench.make()
        except (InvariantBroken, UserError) as error:
            return str(error)
        try:
            self.bench.start()
            for _ in range(2):
                self.bench.clock.advance(3)
                self.bench.recorder.turn()
        except InvariantBroken as error:
            return str(error)
        self.look()
        return ""

    def evidence_missing(self) -> bool:
        return any(each.get("type") == "EvidenceMissing" for each in self.bench.payloads())

    # --- to attack it again and again -------------------------------------------------------------

    @property
    def folders(self) -> tuple[Path, ...]:
        return self.audit, self.witness_folder, memory_of(self.audit).parent

    def save(self) -> Saved:
        """All of it at this moment."""
        files = [file for folder in self.folders for file in folder.iterdir() if file.is_file()]
        clock = self.bench.clock
        return Saved(
            {file: file.read_bytes() for file in files},
            dict(self.bench.server.hash(STATE)),
            (clock.instant, clock.elapsed),
        )

    def load(self, saved: Saved) -> None:
        """Back to it, with no auditor running."""
        self.bench.stop()
        for folder in self.folders:
            shutil.rmtree(folder)
            folder.mkdir()
        for file, data in saved.files.items():
            file.write_bytes(data)
        self.bench.server.hash(STATE).clear()
        self.bench.server.hash(STATE).update(saved.redis)
        self.bench.clock.instant, self.bench.clock.elapsed = saved.time


@dataclass(frozen=True)
class Saved:
    files: dict[Path, bytes]
    redis: dict[str, str]
    time: tuple[dt.datetime, float]

    def of(self, folder: Path) -> dict[Path, bytes]:
        return {file: data for file, data in self.files.items() if file.parent == folder}
