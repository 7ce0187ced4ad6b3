"""Speed and memory of the whole stack, measured from outside: `make bench`. Prints; asserts nothing.

Sessions a second through the real streams (fsync always), resident memory of each service at the
end, image size.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from services.console.demo import DemoOptions, run_demo
from services.console.stack.local_stack import EmbeddedStack
from services.console.views.demo_result import DemoResult
from services.console.views.run_summary import RunSummary

RUNS = 3
SESSIONS = 250
LIMITS_MIB = {
    "risk-gate": 80,
    "executor": 80,
    "auditor": 80,
    "scheduler": 160,
    "signal-engine": 300,
    "data-fetcher": 300,
}


@dataclass
class Meter:
    """Remembers when the first and the last session closed, and what each process held in memory then."""

    stack: EmbeddedStack | None = None
    first: float = 0.0
    last: float = 0.0
    closed: int = 0
    memory: dict[str, int] = field(default_factory=dict)

    def on_start(self, stack: EmbeddedStack) -> None:
        self.stack = stack

    def on_progress(self, summary: RunSummary) -> None:
        if summary.sessions == 0:
            return
        self.first = self.first or time.monotonic()
        if summary.sessions > self.closed:
            self.last, self.closed = time.monotonic(), summary.sessions
            self.memory = resident(self.stack) if self.stack else {}

    @property
    def rate(self) -> float:
        return (self.closed - 1) / (self.last - self.first) if self.last > self.first else 0.0


def resident(stack: EmbeddedStack) -> dict[str, int]:
    """MiB of resident memory by service."""
    found = {}
    for name, process in stack.processes.items():
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            continue
        found[name] = (
            next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
            // 1024
        )
    return found


def one_run() -> tuple[DemoResult, Meter]:
    meter = Meter()
    result = run_demo(
        DemoOptions(sessions=SESSIONS),
        on_start=meter.on_start,
        on_step=lambda _: None,
        on_progress=meter.on_progress,
    )
    return result, meter


def image_mib() -> int | None:
    if shutil.which("docker") is None:
        return None
    shown = subprocess.run(
        ["docker", "image", "inspect", "kobe81:local", "-f", "{{.Size}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return int(shown.stdout) >> 20 if shown.returncode == 0 else None


def main() -> int:
    runs = [one_run() for _ in range(RUNS)]
    rates = [meter.rate for _, meter in runs]
    seconds = [result.seconds for result, _ in runs]
    print(
        f"demo of {SESSIONS} sessions, {RUNS} runs: median {statistics.median(seconds):.1f} s with start and checks"
    )
    each = ", ".join(f"{rate:.1f}" for rate in rates)
    print(f"sessions a second, start excluded: median {statistics.median(rates):.1f} ({each})")
    print(
        f"sound (chain verifies, nothing doubled, positions equal): {all(result.sound for result, _ in runs)}"
    )
    print("resident memory at the end of the last run, MiB (limit):")
    for name, mib in runs[-1][1].memory.items():
        limit = LIMITS_MIB.get(name)
        print(f"  {name:<14} {mib:>4}" + (f" ({limit})" if limit else ""))
    size = image_mib()
    print(f"image: {size} MiB (900)" if size else "image: not built on this machine")
    return 0


if __name__ == "__main__":
    sys.exit(main())
