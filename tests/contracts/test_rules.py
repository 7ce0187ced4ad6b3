"""The laws of rules, for every rule found by its file: pure, total, monotone in size."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

import shared.rules
from shared.domain.errors import UserError
from shared.domain.risk.book import Attempt, Book
from shared.domain.risk.intents import Denial, Intent
from shared.rules import registry
from shared.rules.judge import Rule, judge
from shared.schemas.envelope import canonical
from shared.schemas.values import Direction, Purpose, Reason, TradingState
from tests.builders import SESSION
from tests.unit.rules.cases import (
    SLOT_AT,
    YESTERDAY,
    book,
    intent,
    leaving,
    position,
    quote,
    reservation,
)

RULES = registry.load({})
TIGHT = registry.load({"max_positions": {"maximum": 1}, "order_rate": {"per_minute": 0}})
FOR_EXITS = {
    "quote_required",
    "valid_price_qty",
    "market_hours",
    "repeated_entry",
    "closable_quantity",
    "kill_switch",
    "config_pin",
}

money = st.decimals(min_value=-1000, max_value=10**7, places=2)
prices = st.decimals(min_value=0, max_value=10**7, places=2)
instants = st.integers(-(10**6), 10**6).map(lambda seconds: SLOT_AT + dt.timedelta(seconds=seconds))
quotes = st.one_of(
    st.none(),
    st.builds(lambda bid, ask, at: quote(bid=bid, ask=ask, at=at), prices, prices, instants),
)


@st.composite
def intents(draw: st.DrawFn) -> Intent:
    direction = draw(st.sampled_from(Direction))
    purpose = draw(st.sampled_from([Purpose.ENTRY, Purpose.TIME_EXIT, Purpose.SIGNAL_EXIT]))
    changes: dict[str, Any] = {
        "symbol": draw(st.sampled_from(["AAPL", "MSFT"])),
        "direction": direction,
        "purpose": purpose,
        "side": direction.opens_with if purpose is Purpose.ENTRY else direction.closes_with,
        "qty": draw(st.integers(-5, 10**6)),
        "limit_price": draw(st.none() | money),
        "quote": draw(quotes),
        "stop": draw(st.none() | money),
        "target": draw(st.none() | money),
        "time_stop_bars": draw(st.integers(-5, 10**6)),
        "last_close": draw(st.none() | money),
        "session": draw(st.sampled_from([SESSION, YESTERDAY])),
        "signal_session": draw(st.sampled_from([SESSION, YESTERDAY])),
        "now": draw(instants),
        "halted": draw(st.sampled_from([(), ("killed",)])),
        "same_pin": draw(st.booleans()),
        "in_universe": draw(st.booleans()),
        "repeated": draw(st.booleans()),
    }
    return intent(**changes)


@st.composite
def books(draw: st.DrawFn) -> Book:
    held = position(direction=draw(st.sampled_from(Direction)), qty=draw(st.integers(1, 100)))
    asked = Attempt(number=1, first_slot_at=SLOT_AT, slot_at=SLOT_AT, asked=draw(st.integers(1, 9)))
    return book(
        session=draw(st.sampled_from([None, SESSION])),
        used=draw(money),
        cash=draw(money),
        buying_power=draw(money),
        blocked=draw(st.booleans()),
        external=draw(st.sampled_from([{}, {"AAPL": Decimal(7)}, {"BTC/USD": Decimal("0.1")}])),
        equity=draw(money),
        peak_equity=draw(money),
        session_equity=draw(money),
        trading_state=draw(st.sampled_from(TradingState)),
        approved_at=tuple(draw(st.lists(instants, max_size=40))),
        positions=draw(st.sampled_from([{}, {"AAPL": held}, {"AAPL": held, "IBM": held}])),
        reservations=draw(st.sampled_from([{}, {"k": reservation()}, {"k": leaving()}])),
        attempts={"s1": asked},
        drifted=draw(st.sampled_from([{}, {"AAPL": True}])),
    )


def named(rule: Rule) -> str:
    return rule.name


@pytest.mark.parametrize("rule", RULES, ids=named)
@settings(max_examples=60)
@given(wish=intents(), state=books())
def test_a_rule_answers_always_the_same_with_its_own_reason_and_changes_nothing(
    rule: Rule, wish: Intent, state: Book
) -> None:
    before = canonical(wish), canonical(state)
    denial = rule.check(wish, state)
    assert denial == rule.check(wish, state)
    assert denial is None or (isinstance(denial, Denial) and denial.reason is rule.reason)
    assert isinstance(rule.breach(state), str)
    assert (canonical(wish), canonical(state)) == before


@pytest.mark.parametrize("rules", [RULES, TIGHT], ids=["default", "tight"])
@settings(max_examples=150)
@given(wish=intents(), state=books(), more=st.integers(1, 10**6))
def test_what_is_refused_is_refused_for_more_shares_too(
    rules: tuple[Rule, ...], wish: Intent, state: Book, more: int
) -> None:
    small = msgspec.structs.replace(
        wish, qty=max(1, wish.qty), limit_price=abs(wish.limit_price or Decimal(1))
    )
    large = msgspec.structs.replace(small, qty=small.qty + more)
    refused = {denial.reason for denial in judge(small, state, rules)}
    assert refused <= {denial.reason for denial in judge(large, state, rules)}


@settings(max_examples=150)
@given(wish=intents(), state=books())
def test_an_exit_of_what_is_held_passes_unless_halted_or_unpriced(
    wish: Intent, state: Book
) -> None:
    held = position(direction=wish.direction)
    leaves = msgspec.structs.replace(
        wish,
        purpose=Purpose.TIME_EXIT,
        side=wish.direction.closes_with,
        symbol="AAPL",
        qty=5,
        limit_price=Decimal(1),
        session=SESSION,
        now=SLOT_AT,
        halted=(),
        same_pin=True,
        repeated=False,
    )
    state = msgspec.structs.replace(
        state, session=SESSION, positions={"AAPL": held}, reservations={}
    )
    expected = [Reason.NO_QUOTE] if leaves.quote_price is None else []
    assert [denial.reason for denial in judge(leaves, state, RULES)] == expected


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_a_limit_nobody_knows_stops_the_start_and_names_the_nearest(rule: Rule) -> None:
    known = list(type(rule.limits).__struct_fields__)
    with pytest.raises(
        UserError, match=rf"\[rules.{rule.name}\]: unknown limit 'maximun'; "
    ) as refusal:
        registry.load({rule.name: {"maximun": 1}})
    sentence = str(refusal.value)
    assert any(name in sentence for name in known) == bool(known)
    assert ("there are none" in sentence) == (not known)


def test_every_file_of_the_room_is_a_rule_and_is_judged_here() -> None:
    files = {path.stem for path in Path(registry.__file__).parent.glob("*.py")}
    assert {rule.name for rule in RULES} == files - {"__init__", "registry", "judge"}


def test_a_rule_is_found_by_its_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(registry.__file__).with_name("max_positions.py").read_text()
    (tmp_path / "planted_rule.py").write_text(source)
    monkeypatch.setattr(shared.rules, "__path__", [*shared.rules.__path__, str(tmp_path)])
    found = {rule.name: rule for rule in registry.load({"planted_rule": {"maximum": 3}})}
    assert found["planted_rule"].limits.maximum == 3


def test_few_rules_judge_exits_and_they_are_known() -> None:
    assert {rule.name for rule in RULES if rule.judges_exits} == FOR_EXITS


def test_every_reason_has_a_rule() -> None:
    assert {rule.reason for rule in RULES} == set(Reason)


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_the_default_intent_passes_every_rule(rule: Rule) -> None:
    assert rule.check(intent(), book()) is None
