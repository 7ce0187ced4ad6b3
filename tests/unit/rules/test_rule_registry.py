import pytest

from shared.domain.errors import UserError
from shared.rules import registry
from shared.rules.judge import first_breach, judge
from shared.runtime.config.settings import DEFAULT_FILE, read_document, resolve
from shared.schemas.values import Mode, Reason
from tests.unit.rules.cases import D, book, intent, quote


def test_the_tables_of_every_mode_load() -> None:
    document = read_document(DEFAULT_FILE)
    per_order = {}
    for mode in Mode:
        rules = {rule.name: rule.limits for rule in registry.load(resolve(document, mode)["rules"])}
        per_order[mode] = (rules["notional_per_order"].maximum, rules["daily_notional"].maximum)
    assert per_order == {
        Mode.SIM: (D(1000), D(13000)),
        Mode.PAPER: (D(75), D(1000)),
        Mode.LIVE: (D(75), D(1000)),
    }


def test_a_rule_left_out_of_the_tables_still_judges_with_its_default_limits() -> None:
    assert [rule.name for rule in registry.load({})] == [
        rule.name for rule in registry.load({"spread": {"maximum_fraction": "0.5"}})
    ]


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"spred": {}}, "[rules.spred]: there is no such rule; did you mean 'spread'?"),
        (
            {"available_cash": {"limit": "1"}},
            "[rules.available_cash]: unknown limit 'limit'; there are none.",
        ),
        (
            {"daily_notional": {"maximun": "1"}},
            "[rules.daily_notional]: unknown limit 'maximun'; did you mean 'maximum'?",
        ),
        ({"daily_notional": {"maximum": True}}, "[rules.daily_notional]: "),
        ({"daily_notional": {"maximum": "NaN"}}, "[rules.daily_notional]: "),
        ({"max_positions": {"maximum": "ten"}}, "[rules.max_positions]: "),
    ],
)
def test_a_table_that_makes_no_sense_stops_the_start_with_one_sentence(
    tables: dict[str, dict[str, object]], sentence: str
) -> None:
    with pytest.raises(UserError) as refusal:
        registry.load(tables)
    assert str(refusal.value).startswith(sentence)
    assert refusal.value.exit_code == 3


def test_all_reasons_are_told_in_the_fixed_order() -> None:
    everything_wrong = intent(
        qty=1000,
        limit_price=D(2000),
        quote=quote(bid=D(1), ask=D(5)),
        halted=("killed",),
        same_pin=False,
        in_universe=False,
    )
    poor = book(cash=D(0), buying_power=D(10**7))
    reasons = [denial.reason for denial in judge(everything_wrong, poor, registry.load({}))]
    assert reasons == [
        Reason.PRICE_OUT_OF_BOUNDS,
        Reason.EXCEEDS_PER_ORDER_BUDGET,
        Reason.EXCEEDS_DAILY_BUDGET,
        Reason.INVALID_PROTECTION,
        Reason.NOT_IN_UNIVERSE,
        Reason.INVALIDATED_AT_OPEN,
        Reason.COLLAR,
        Reason.SPREAD,
        Reason.MAX_EXPOSURE,
        Reason.INSUFFICIENT_CASH,
        Reason.HALTED,
        Reason.CONFIG_PIN,
    ]
    assert reasons == sorted(reasons, key=list(Reason).index)


def test_a_calm_book_trips_no_breaker() -> None:
    assert first_breach(book(), registry.load({})) == ""


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("daily_notional", {"maximum": "-1"}),
        ("daily_notional", {"maximum": "Infinity"}),
        ("notional_per_order", {"maximum": "1E+30"}),
        ("gross_exposure", {"maximum": "-0.01"}),
        ("max_positions", {"maximum": -1}),
        ("max_positions", {"maximum": 10**9}),
        ("max_positions", {"maximum": True}),
        ("order_rate", {"per_minute": -1}),
        ("order_rate", {"per_minute": 1.5}),
        ("repeated_entry", {"maximum": 0}),
        ("price_band", {"minimum": "-3"}),
        ("price_band", {"maximum": "10000001"}),
        ("price_band", {"minimum": "10", "maximum": "5"}),
        ("price_collar", {"quote_fraction": "1.01"}),
        ("price_collar", {"close_fraction": "-0.1"}),
        ("spread", {"maximum_fraction": "2"}),
        ("stale_quote", {"maximum_age_seconds": -1}),
        ("stale_quote", {"maximum_age_seconds": 10**6}),
        ("drawdown", {"maximum_fraction": "1.5"}),
        ("drawdown", {"daily_loss_fraction": "-0.05"}),
        ("short_selling", {"allowed": "yes"}),
        ("invalid_protection", {"maximum_stop_fraction": "1.1"}),
        ("invalid_protection", {"maximum_target_fraction": "-1"}),
        ("invalid_protection", {"maximum_time_stop_bars": 0}),
        ("invalid_protection", {"maximum_time_stop_bars": 251}),
    ],
)
def test_a_limit_out_of_range_stops_the_start(name: str, table: dict[str, object]) -> None:
    with pytest.raises(UserError, match=rf"^\[rules\.{name}\]: ") as refusal:
        registry.load({name: table})
    assert refusal.value.exit_code == 3
