"""Growing pauses between tries: twice as long each time up to a ceiling, never the same twice.

The jitter keeps services that lost the same server from coming back at the same instant.
"""

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """`first` and `longest` are ceilings in seconds; a pause is half a ceiling to all of it."""

    first: float
    longest: float
    failures: int = field(default=0, init=False)

    def next_pause(self) -> float:
        """Count a failure; the seconds to wait before the next try."""
        # Beyond 2^32 the power is a waste of digits; every ceiling is reached long before.
        ceiling = min(self.longest, self.first * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311  jitter

    def reset(self) -> None:
        """A try has succeeded: the next failure waits briefly again."""
        self.failures = 0
