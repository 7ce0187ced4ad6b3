"""Finds every rule by its file, reads its limits, and judges an intent by all of them in one fixed order.

Called by the gate, the backtest's policy pass and `kobe preflight`. A rule without a table has its default limits;
a table without a rule stops the start. No rule can be switched off by leaving it out.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import msgspec

import shared.rules
from shared.domain.book import Book
from shared.domain.errors import UserError
from shared.domain.intents import Denial, Intent
from shared.schemas.values import Reason

CONFIG_ERROR = 3
ORDER = tuple(Reason)


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    module: ModuleType
    limits: Any

    def check(self, intent: Intent, book: Book) -> Denial | None:
        denial: Denial | None = self.module.check(intent, book, self.limits)
        return denial


def names() -> list[str]:
    """Every module of this room but this one."""
    return [found.name for found in pkgutil.iter_modules(shared.rules.__path__) if found.name != "registry"]


def load(tables: Mapping[str, Mapping[str, Any]]) -> tuple[Rule, ...]:
    """All rules with the limits of kobe.toml's [rules.<name>], ordered by reason; UserError names a typo."""
    known = names()
    for name in tables:
        if name not in known:
            raise UserError(f"[rules.{name}]: there is no such rule; {_nearest(name, known)}", exit_code=CONFIG_ERROR)
    rules = [_rule(name, tables.get(name, {})) for name in known]
    return tuple(sorted(rules, key=lambda rule: (ORDER.index(rule.module.REASON), rule.name)))


def _rule(name: str, table: Mapping[str, Any]) -> Rule:
    module = importlib.import_module(f"shared.rules.{name}")
    fields = list(module.Limits.__struct_fields__)
    for key in table:
        if key not in fields:
            sentence = f"[rules.{name}]: unknown limit {key!r}; {_nearest(key, fields)}"
            raise UserError(sentence, exit_code=CONFIG_ERROR)
    try:
        return Rule(name, module, msgspec.convert(dict(table), module.Limits))
    except (msgspec.ValidationError, ValueError) as error:
        raise UserError(f"[rules.{name}]: {error}.", exit_code=CONFIG_ERROR) from error


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0)
    return f"the nearest known one is {near[0]!r}." if near else "it has none."


def judge(intent: Intent, book: Book, rules: tuple[Rule, ...]) -> tuple[Denial, ...]:
    """Every rule that refuses, in the fixed order; none: it may be approved. Exits answer to few rules only."""
    asked = rules if intent.opens else tuple(rule for rule in rules if rule.module.JUDGES_EXITS)
    return tuple(denial for rule in asked if (denial := rule.check(intent, book)) is not None)
