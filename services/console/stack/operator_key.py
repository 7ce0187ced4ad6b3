"""The operator's signing key and the stack's pinned public keys, beside the operator's password."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.console.stack.address import StackAddress
from shared.runtime.kill.record import ResumeCheck
from shared.runtime.runner.sealer import Identity
from shared.runtime.signing import Keyring, Signer


@dataclass(frozen=True, slots=True)
class OperatorKey:
    signer: Signer
    keyring: Keyring

    @classmethod
    def load(cls, address: StackAddress) -> OperatorKey:
        """Raises UserError if a file is missing or not ours."""
        folder = Path(address.password_file).parent
        return cls(Signer.load(folder / "signing.key"), Keyring.load(folder / "public_keys.json"))

    def check(self, identity: Identity) -> ResumeCheck:
        """What the services of that stack check a resume with."""
        return ResumeCheck(identity.mode, identity.account, self.keyring)
