"""Finds every rule by its file and reads its limits.

Called by the gate, the policy pass and `kobe preflight`. A rule without a table has its default
limits; a table without a rule stops the start. No rule can be switched off by leaving it out.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

import msgspec

import shared.rules
from shared.domain.errors import UserError
from shared.domain.spelling import did_you_mean
from shared.rules.judge import Rule, in_order

CONFIG_ERROR = 3
NOT_RULES = frozenset({"registry", "judge"})


def names() -> list[str]:
    """Every module of this room that is a rule."""
    return sorted({found.name for found in pkgutil.iter_modules(shared.rules.__path__)} - NOT_RULES)


def load(tables: Mapping[str, Mapping[str, Any]]) -> tuple[Rule, ...]:
    """All rules with the limits of kobe.toml's [rules.<name>], in the fixed order.

    Raises UserError if a table names no rule, an unknown limit or an impossible value.
    """
    known = names()
    for name in tables:
        if name not in known:
            raise UserError(
                f"[rules.{name}]: there is no such rule; {did_you_mean(name, known)}",
                exit_code=CONFIG_ERROR,
            )
    return in_order(_rule(name, tables.get(name, {})) for name in known)


def _rule(name: str, table: Mapping[str, Any]) -> Rule:
    module = importlib.import_module(f"shared.rules.{name}")
    fields = list(module.Limits.__struct_fields__)
    for key in table:
        if key not in fields:
            sentence = f"[rules.{name}]: unknown limit {key!r}; {did_you_mean(key, fields)}"
            raise UserError(sentence, exit_code=CONFIG_ERROR)
    try:
        return Rule(name, module, msgspec.convert(dict(table), module.Limits))
    except (msgspec.ValidationError, ValueError) as error:
        raise UserError(f"[rules.{name}]: {error}.", exit_code=CONFIG_ERROR) from error
