"""Checks a file of this system's predecessor: one JSON record a line, linked by hash."""

from collections.abc import Iterator
from pathlib import Path

from services.auditor.chain.record import first_broken_legacy
from services.auditor.evidence.findings import ChainFinding, Verdict
from shared.domain.errors import UserError


def verify_legacy(file: Path) -> Verdict:
    """Raises UserError if the file cannot be read."""
    count = 0

    def count_lines(lines: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal count
        for line in lines:
            yield line
            count += 1

    try:
        with file.open("rb") as handle:
            broken = first_broken_legacy(count_lines(handle))
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error
    ok = broken is None
    return Verdict(
        exit_code=int(ChainFinding.OK if ok else ChainFinding.BROKEN_LINK),
        sentence="every record follows from the one before"
        if ok
        else f"record {broken} does not follow",
        height=count if broken is None else broken,
        head=None,
        checkpoints=0,
        index=broken,
    )
