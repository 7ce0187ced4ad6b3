"""What a demo did, counted and checked, and why it may not be sound. Pure."""

import msgspec

from services.console.views.round_trips import RoundTrip


class ChainSummary(msgspec.Struct, frozen=True, kw_only=True):
    height: int
    valid: bool


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
    """`requested` sessions, 0 if as many as there are; `duplicates` are orders beyond those sent.

    `reconciled`: our positions equal the broker's. `equity_curve` is (session, dollars) at each
    close; `trades` are closed round trips in order of exit, then those still open.
    """

    requested: int
    sessions: int
    signals: int
    approved: int
    denied: dict[str, int]
    orders: int
    protections: int
    fills: int
    open_positions: int
    equity: str
    chain: ChainSummary
    duplicates: int
    reconciled: bool
    refused_bars: dict[str, int]
    seconds: float
    trades: list[RoundTrip]
    equity_curve: list[tuple[str, float]]

    @property
    def faults(self) -> list[str]:
        """Why the run cannot be called sound; empty if it can."""
        found = {
            f"Only {self.sessions} of the {self.requested} sessions asked for were replayed: "
            "the bars hold no more.": self.sessions < self.requested,
            "No session was replayed: the bars hold none.": self.sessions == 0,
            "The audit chain does not verify; see `kobe audit verify`.": not self.chain.valid,
            f"{self.duplicates} orders at the broker are not ours or came twice.": self.duplicates,
            "Our positions differ from the broker's.": not self.reconciled,
        }
        return [sentence for sentence, holds in found.items() if holds]

    @property
    def sound(self) -> bool:
        return not self.faults
