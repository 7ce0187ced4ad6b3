"""What the audit commands ask for, and how they find it: the chain, the pinned keys, the witnesses.

The running stack's are the default; keys are never taken from beside the chain that they judge.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from services.auditor.chain.trust import Trust, load_trust
from services.auditor.evidence.findings import Verdict
from services.auditor.evidence.indexed_chain import IndexedChain
from services.auditor.evidence.verify import require_proof, verify_folder
from services.console.stack.address import find_stack
from shared.domain.errors import UserError
from shared.runtime.clock import SystemClock

Folder = Annotated[
    Path | None, typer.Option("--folder", help="The chain's folder; default: the running stack's.")
]
Keys = Annotated[
    Path | None,
    typer.Option("--keys", help="public_keys.json to judge by; default: the running stack's."),
]
Witnesses = Annotated[
    list[Path] | None,
    typer.Option("--witness", help="A witness's folder; repeatable; default: the running stack's."),
]
Anchors = Annotated[
    list[Path] | None,
    typer.Option("--anchor", help="Checkpoints kept elsewhere (`kobe audit anchor`); repeatable."),
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        help="The chain must reach up to this time (ISO 8601), for an archived copy; default: now.",
    ),
]


@dataclass(frozen=True, slots=True)
class ChainPlace:
    """A chain and what it is judged by."""

    folder: Path
    trust: Trust
    witnesses: tuple[Path, ...]

    @classmethod
    def find(
        cls, folder: Path | None, keys: Path | None, witnesses: list[Path] | None = None
    ) -> ChainPlace:
        """Where nothing is named, the running stack's; witnesses only of a chain of its own.

        Raises UserError if keys are named that cannot be read.
        """
        stack = find_stack(os.environ)
        own = [Path(each) for each in stack.witness_dir.split(":") if each and folder is None]
        return cls(
            folder or Path(stack.audit_dir),
            find_trust(keys, stack.public_keys_file),
            tuple(witnesses or own),
        )

    def verify(self, *, anchors: tuple[Path, ...] = (), as_of: dt.datetime | None) -> Verdict:
        return verify_folder(
            self.folder,
            trust=self.trust,
            anchors=anchors,
            witnesses=self.witnesses,
            as_of=as_of,
        )

    @contextmanager
    def index(self) -> Iterator[IndexedChain]:
        """The chain with its index, which lies in the console's own state folder."""
        folder = Path(os.environ.get("KOBE_STATE_DIR", "state")) / "index"
        chain = IndexedChain.open(self.folder, self.trust, self.witnesses, folder)
        try:
            yield chain
        finally:
            chain.index.close()

    def require_proof(self) -> Verdict:
        """Verify before anything is told from the chain. Raises UserError if it proves nothing."""
        return require_proof(self.verify(as_of=None))


def find_trust(keys: Path | None, stack_keys: str) -> Trust:
    """The keys named, else the stack's where there are any, else none: and then it is said."""
    if keys is not None:
        return load_trust(keys)
    default = Path(stack_keys) if stack_keys else None
    return load_trust(default) if default and default.is_file() else Trust()


def read_instant(text: str | None) -> dt.datetime:
    """Now if nothing is named; raises UserError if it is no time."""
    if text is None:
        return SystemClock().now()
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"{text!r} is no time; write it as 2026-01-05T21:00:00+00:00.", exit_code=64
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=dt.UTC)
