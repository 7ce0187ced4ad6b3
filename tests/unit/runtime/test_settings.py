from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.domain.errors import UserError
from shared.runtime.config.settings import (
    DEFAULT_FILE,
    config_pin,
    load_settings,
    read_document,
    resolve,
    with_changes,
)
from shared.schemas.values import Mode


def pin_of(environ: dict[str, str]) -> str:
    return load_settings(environ).config_pin


def config_file(folder: Path, changes: dict[str, Any]) -> dict[str, str]:
    file = folder / "kobe.json"
    file.write_bytes(msgspec.json.encode(with_changes(read_document(DEFAULT_FILE), changes)))
    return {"KOBE_CONFIG": str(file)}


def test_every_mode_of_the_shipped_file_loads_and_has_a_pin_of_its_own() -> None:
    assert len({pin_of({"KOBE_MODE": mode}) for mode in ("sim", "paper", "live")}) == 3


def test_live_is_smaller_than_paper_is_smaller_than_the_universe() -> None:
    sizes = [
        load_settings({"KOBE_MODE": mode}).config.universe.maximum
        for mode in ("live", "paper", "sim")
    ]
    assert sizes == [10, 60, 900]


def test_paper_starts_with_the_starter_list_and_the_pin_covers_its_symbols(tmp_path: Path) -> None:
    paper = load_settings({"KOBE_MODE": "paper"}).config
    assert len(paper.universe.symbols) == 60
    assert (paper.bars.vendor, paper.vendors.order) == ("multi", ("massive", "alpaca"))
    (tmp_path / "mine.csv").write_text("symbol,why\nIBM,old\naapl,big\n")
    changes = {"paper.universe.list": str(tmp_path / "mine.csv")}
    file = config_file(tmp_path, changes)
    before = load_settings({"KOBE_MODE": "paper", **file})
    assert before.config.universe.symbols == ("IBM", "AAPL")
    (tmp_path / "mine.csv").write_text("symbol\nIBM\n")
    assert load_settings({"KOBE_MODE": "paper", **file}).config_pin != before.config_pin


def test_whoever_computes_the_pin_from_the_file_gets_the_pin_the_services_carry() -> None:
    """The executor's watch does, to hear of a changed file."""
    for mode in Mode:
        pin = config_pin(resolve(read_document(DEFAULT_FILE), mode))
        assert pin == load_settings({"KOBE_MODE": mode.value}).config_pin


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"universe.list": "starter", "universe.symbols": ["IBM"]}, "both a list and symbols"),
        ({"universe.list": "/nowhere.csv"}, "cannot be read"),
    ],
)
def test_a_universe_that_is_none_is_said(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        load_settings(config_file(tmp_path, changes))


def test_the_same_numbers_in_another_file_have_the_same_pin_and_a_changed_one_has_not(
    tmp_path: Path,
) -> None:
    assert pin_of(config_file(tmp_path, {})) == pin_of({})
    assert pin_of(config_file(tmp_path, {"sizing.fraction": "0.008"})) != pin_of({})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"sizing.per_ordr": "3"},
            r"unknown key 'per_ordr' in \[sizing\]; did you mean 'per_order'",
        ),
        (
            {"sizzing": {}},
            "unknown key 'sizzing' in the top level; did you mean 'sizing'",
        ),
        ({"sim.timetable.clock": "sundial"}, "sundial.*timetable.clock"),
        ({"sizing.fraction": "much"}, "sizing.fraction"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        load_settings(config_file(tmp_path, changes))
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"paper.bars.vendor": "sample"}, "cannot trade on the sample bars"),
        ({"paper.timetable.clock": "replay"}, "a replayed clock is for sim alone"),
    ],
)
def test_nothing_made_up_steers_a_brokers_orders(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        load_settings({**config_file(tmp_path, changes), "KOBE_MODE": "paper"})


def test_a_file_that_is_absent_or_no_toml_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_settings({"KOBE_CONFIG": str(tmp_path / "none.toml")})
    (tmp_path / "bad.toml").write_text("[a")
    with pytest.raises(UserError, match="not valid"):
        load_settings({"KOBE_CONFIG": str(tmp_path / "bad.toml")})


def test_a_demanded_pin_that_differs_is_refused() -> None:
    assert load_settings({"KOBE_CONFIG_PIN": pin_of({})}).config_pin
    with pytest.raises(UserError, match="KOBE_CONFIG_PIN demands") as refused:
        load_settings({"KOBE_CONFIG_PIN": "0" * 64})
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"KOBE_REDIS_ULR": "x"}, "did you mean 'KOBE_REDIS_URL'"),
        ({"KOBE_MODE": "demo"}, "must be sim, paper or live"),
        ({"KOBE_HTTP_PORT": "http"}, "must be a port number"),
        ({"KOBE_REDIS_PASSWORD_FILE": "/nowhere/at/all"}, "cannot be read"),
    ],
)
def test_a_wrong_variable_is_named(environ: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_settings(environ)


def test_a_secret_does_not_print_itself(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("AKSECRET\n")
    environment = load_settings({"ALPACA_API_KEY_ID_FILE": str(tmp_path / "key")}).environment
    assert environment.broker_key_id.reveal() == "AKSECRET"
    assert "AKSECRET" not in repr(environment)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("universe.maximum", 0),
        ("sim.sizing.per_order", "-75"),
        ("sim.sizing.per_order", "NaN"),
        ("sizing.fraction", "1.5"),
        ("sizing.fraction", "Infinity"),
        ("orders.entry_ttl_seconds", 0),
        ("orders.entry_ttl_seconds", 86_400),
        ("timetable.close_slot_minutes_before_close", -5),
        ("timetable.reconcile_seconds", 0),
        ("sim.timetable.pace_seconds", -1.0),
        ("bars.minimum_coverage", "0"),
        ("bars.minimum_coverage", "98"),
        ("bars.history_years", 0),
        ("sim.broker.requests_per_minute", 0),
        ("broker.reserved_requests", 100_000),
        ("broker.post_deadline_seconds", 60.0),
        ("broker.starting_cash", "0"),
        ("executor.ambiguous_in_a_row", 0),
        ("executor.unknown_seconds", -1),
        ("audit.checkpoint_records", 0),
        ("audit.checkpoint_seconds", 10**9),
        ("logging.rotate_megabytes", 0),
        ("logging.keep_files", -1),
        ("research.train", 0),
    ],
)
def test_a_number_that_can_only_be_a_slip_is_refused_with_its_place(
    tmp_path: Path, key: str, value: object
) -> None:
    table = key.removeprefix("sim.").split(".")[0]
    with pytest.raises(UserError, match=rf"kobe.toml: .*{table}") as refused:
        load_settings(config_file(tmp_path, {key: value}))
    assert refused.value.exit_code == 3


def test_a_mode_that_is_no_table_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'sim' must be a table"):
        load_settings(config_file(tmp_path, {"sim": 3}))
