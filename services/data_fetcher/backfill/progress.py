"""How far a fetch is, how fast it goes, and when it will be done. Pure.

Whoever shows it brings the clock.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counted in units; `resumed` of them were there already when this run began."""

    done: int
    total: int
    resumed: int
    bars: int
    seconds: float

    @property
    def bars_per_second(self) -> float:
        return self.bars / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the pace of this run; None before anything was fetched in it."""
        fetched = self.done - self.resumed
        return self.seconds / fetched * (self.total - self.done) if fetched else None

    @property
    def sentence(self) -> str:
        """Such as `12/26 units, 310,000 bars at 5,200/s, about 1 min 10 s left`."""
        left = self.seconds_left
        parts = [f"{self.done}/{self.total} units"]
        if self.bars:
            parts.append(f"{self.bars:,} bars at {self.bars_per_second:,.0f}/s")
        if left is not None and self.done < self.total:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """`45 s`, `1 min 10 s`, `14 h 12 min`, `2 d 3 h`: the two largest units that say something."""
    whole = round(seconds)
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[tuple[int, str]] = []
    for name, size in units:
        count, whole = divmod(whole, size)
        if count or (parts and len(parts) < 2):
            parts.append((count, name))
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count) or "0 s"
