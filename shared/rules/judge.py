"""Judges an intent by all rules in one fixed order. Called by the gate and the backtest's policy pass; pure.

The order is that of the reasons in `Reason`; it never stops at the first refusal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason

ORDER = {reason: place for place, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Rule:
    """One file of this room, with its limits."""

    name: str
    module: ModuleType
    limits: Any

    @property
    def reason(self) -> Reason:
        reason: Reason = self.module.REASON
        return reason

    @property
    def judges_exits(self) -> bool:
        return bool(self.module.JUDGES_EXITS)

    def check(self, intent: Intent, book: Book) -> Denial | None:
        denial: Denial | None = self.module.check(intent, book, self.limits)
        return denial

    def breached(self, book: Book) -> str:
        """Why the gate must move to reducing by itself; only breakers ever have a reason."""
        return (
            str(self.module.breached(book, self.limits)) if hasattr(self.module, "breached") else ""
        )


def in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(sorted(rules, key=lambda rule: (ORDER[rule.reason], rule.name)))


def judge(intent: Intent, book: Book, rules: tuple[Rule, ...]) -> tuple[Denial, ...]:
    """Every rule that refuses, in the fixed order; none: it may be approved. Exits answer to few rules only."""
    asked = rules if intent.opens else tuple(rule for rule in rules if rule.judges_exits)
    return tuple(denial for rule in asked if (denial := rule.check(intent, book)) is not None)


def breached(book: Book, rules: tuple[Rule, ...]) -> str:
    """The first breaker that has tripped, in words, or nothing."""
    return next((why for rule in rules if (why := rule.breached(book))), "")
