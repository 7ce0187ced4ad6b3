"""docs/rules.md names every rule with its reason and its default limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.rules import registry
from shared.rules.judge import Rule

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "rules.md").read_text()
ROWS = {
    cells[1].strip(" `"): cells
    for line in PAGE.splitlines()
    if line.startswith("| `") and len(cells := line.split("|")) == 6
}
RULES = registry.load({})


def test_the_page_lists_the_rules_in_their_order() -> None:
    assert list(ROWS) == [rule.name for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_page_gives_reason_and_limits(rule: Rule) -> None:
    _, _, reason, _, limits, _ = ROWS[rule.name]
    assert reason.strip(" `") == rule.reason.value
    for name in type(rule.limits).__struct_fields__:
        assert f"`{name}` {str(getattr(rule.limits, name)).lower()}" in limits


def test_the_page_says_which_rules_judge_exits() -> None:
    sentence = PAGE[PAGE.index("Exits answer only to") :].split(":")[0]
    assert {rule.name for rule in RULES if rule.judges_exits} == set(sentence.split("`")[1::2])
