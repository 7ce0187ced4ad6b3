"""Judges an intent by all rules in one fixed order; pure.

Called by the gate and the backtest's policy pass. The order is that of the reasons in `Reason`; it
never stops at the first refusal.
"""

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
    """One rule file with its limits; the file's name is the rule's name."""

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

    def breach(self, book: Book) -> str:
        """Why the gate must move to reducing by itself, or nothing; only breakers have it."""
        found = self.module.breach(book, self.limits) if hasattr(self.module, "breach") else ""
        return str(found)


def in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(sorted(rules, key=lambda rule: (ORDER[rule.reason], rule.name)))


def judge(intent: Intent, book: Book, rules: tuple[Rule, ...]) -> tuple[Denial, ...]:
    """The refusals of all rules, in the fixed order; none: it may be approved.

    Exits answer only to the rules that judge exits.
    """
    applicable = rules if intent.opens else tuple(rule for rule in rules if rule.judges_exits)
    denials = (rule.check(intent, book) for rule in applicable)
    return tuple(denial for denial in denials if denial is not None)


def first_breach(book: Book, rules: tuple[Rule, ...]) -> str:
    """What the first breaker that has tripped says, or nothing."""
    return next((why for rule in rules if (why := rule.breach(book))), "")
