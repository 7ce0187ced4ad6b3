"""What this process has held in memory at most; a child does not inherit it, as it does with getrusage."""

from __future__ import annotations

from pathlib import Path


def peak() -> float:
    """In MB; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
