"""An operator for tests: signs resumes and control messages, and the check that obeys them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.runtime.kill.record import ResumeCheck, write_record
from shared.runtime.signing import Keyring, Signer
from shared.schemas.envelope import Envelope
from shared.schemas.messages import KillCleared
from shared.schemas.values import Mode
from tests.builders import envelope


@dataclass(frozen=True)
class Operator:
    mode: Mode = Mode.SIM
    account: str = "sim"
    signer: Signer = field(default_factory=Signer.generate)

    def check(self, mode: Mode | None = None) -> ResumeCheck:
        """What a service of this stack has pinned."""
        keyring = Keyring.of([self.signer.public_key("console")])
        return ResumeCheck(mode or self.mode, self.account, keyring)

    def resume(self, seen_id: str, **changes: Any) -> tuple[Envelope, KillCleared]:
        """A signed resume of all kills up to one."""
        message = KillCleared(cleared_id=seen_id, by="operator", why="checked")
        values = {"mode": self.mode, "account": self.account, **changes}
        return self.signer.sign(envelope(message, **values)), message

    def record(self, seen_id: str, **changes: Any) -> str:
        return write_record(self.resume(seen_id, **changes)[0])
