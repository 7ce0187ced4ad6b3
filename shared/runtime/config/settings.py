"""Settings: kobe.toml for the numbers that steer, the environment for addresses, mode and secrets alone.

`load_settings(environ)` is called once by every `__main__`; an unknown key or variable is refused
with its name and the nearest known one. The config pin is the digest of the mode's resolved table,
so nothing that steers escapes it.
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from shared.domain.errors import UserError
from shared.runtime.config.environment import Environment, read_environment
from shared.schemas.envelope import canonical
from shared.schemas.values import Mode

# In a wheel the shipped configuration lies beside this file, in a checkout in compose/.
_PACKAGED = Path(__file__).with_name("kobe.toml")
_CHECKOUT = Path(__file__).parents[3] / "compose" / "kobe.toml"
DEFAULT_FILE = _PACKAGED if _PACKAGED.is_file() else _CHECKOUT
CONFIG_PIN_ERROR = 3


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of kobe.toml; every key has a line there."""


class Universe(Table, frozen=True, kw_only=True):
    symbols: tuple[str, ...]
    maximum: int


class Strategies(Table, frozen=True, kw_only=True):
    enabled: tuple[str, ...]
    folder: str
    parameters: dict[str, dict[str, Any]]


class Sizing(Table, frozen=True, kw_only=True):
    method: Literal["budget", "cash_fraction", "risk_fraction"]
    per_order: Decimal
    fraction: Decimal


class Orders(Table, frozen=True, kw_only=True):
    entry_ttl_seconds: int
    exit_ttl_seconds: int


class Timetable(Table, frozen=True, kw_only=True):
    open_slot: str
    retry_slots: tuple[str, ...]
    close_slot_minutes_before_close: int
    bars_delay_minutes: int
    bars_minutes_before_open: int
    reconcile_seconds: int
    grace_seconds: int
    clock: Literal["system", "replay"]
    sessions: int
    start: str
    pace_seconds: float
    loop: bool


class Bars(Table, frozen=True, kw_only=True):
    vendor: str
    folder: str
    minimum_coverage: Decimal
    history_years: int


class Quotes(Table, frozen=True, kw_only=True):
    vendor: str


class Broker(Table, frozen=True, kw_only=True):
    name: str
    requests_per_minute: int
    reserved_requests: int
    post_deadline_seconds: float
    starting_cash: Decimal


class Executor(Table, frozen=True, kw_only=True):
    ambiguous_in_a_row: int
    unknown_seconds: int
    flatten_on_kill: bool


class Audit(Table, frozen=True, kw_only=True):
    checkpoint_records: int
    checkpoint_seconds: int


class Logging(Table, frozen=True, kw_only=True):
    level: Literal["debug", "info", "warning", "error"]
    rotate_megabytes: int
    keep_files: int


class Research(Table, frozen=True, kw_only=True):
    """Walk-forward windows in sessions, and per strategy the values to try of each parameter."""

    train: int
    test: int
    objective: Literal["sharpe", "profit_factor", "return_over_drawdown"]
    grids: dict[str, dict[str, tuple[bool | int | float, ...]]]


class Steering(Table, frozen=True, kw_only=True):
    """One mode's resolved kobe.toml."""

    universe: Universe
    strategies: Strategies
    sizing: Sizing
    orders: Orders
    rules: dict[str, dict[str, Any]]
    timetable: Timetable
    bars: Bars
    quotes: Quotes
    broker: Broker
    executor: Executor
    audit: Audit
    logging: Logging
    research: Research


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a service is told at start."""

    steering: Steering
    environment: Environment
    config_pin: str
    code_digest: str

    @property
    def mode(self) -> Mode:
        return self.environment.mode


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read file and environment; raises UserError with one sentence."""
    environment = read_environment(environ)
    table = resolve(read_document(environment.config or DEFAULT_FILE), environment.mode)
    pin = hashlib.sha256(canonical(_without_floats(pinned(table)))).hexdigest()
    if environment.config_pin not in ("", pin):
        raise UserError(
            f"The configuration's pin is {pin}, but KOBE_CONFIG_PIN demands {environment.config_pin}; "
            "undo the change, or pin the new one on purpose.",
            exit_code=CONFIG_PIN_ERROR,
        )
    steering = convert(table)
    _refuse_make_believe(steering, environment.mode)
    return Settings(
        steering=steering, environment=environment, config_pin=pin, code_digest=code_digest()
    )


def _refuse_make_believe(steering: Steering, mode: Mode) -> None:
    """Sample bars and replayed time are for sim alone: no broker's order may rest on them."""
    if mode is Mode.SIM:
        return
    if steering.bars.vendor == "sample":
        sentence = f"{mode} cannot trade on the sample bars: name a vendor of real ones in kobe.toml's [bars]."
        raise UserError(sentence, exit_code=CONFIG_PIN_ERROR)
    if steering.timetable.clock != "system":
        sentence = f'{mode} needs clock = "system" in kobe.toml\'s [timetable]; a replayed clock is for sim alone.'
        raise UserError(sentence, exit_code=CONFIG_PIN_ERROR)


def pinned(table: Mapping[str, Any]) -> dict[str, Any]:
    """What steers trading. Grids of research are not of it: trying other parameters must not halt a stack."""
    return {name: value for name, value in table.items() if name != "research"}


def read_document(path: Path) -> dict[str, Any]:
    """kobe.toml as it stands, or the same as JSON (which is what an embedded stack writes for itself)."""
    try:
        text = path.read_text()
        document: dict[str, Any] = (
            msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text)
        )
    except OSError as error:
        sentence = f"The configuration {path} cannot be read: {error.strerror}."
        raise UserError(sentence, exit_code=CONFIG_PIN_ERROR) from error
    except (tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise UserError(
            f"The configuration {path} is not valid: {error}.", exit_code=CONFIG_PIN_ERROR
        ) from error
    return document


def overridden(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The document with dotted keys (`sim.timetable.sessions`) set anew."""
    result = dict(document)
    for key, value in changes.items():
        *path, last = key.split(".")
        table = result
        for name in path:
            table[name] = dict(table.get(name, {}))
            table = table[name]
        table[last] = value
    return result


def resolve(document: Mapping[str, Any], mode: Mode) -> dict[str, Any]:
    """The base tables with the mode's own laid over them."""
    stacks = {mode.value for mode in Mode}
    base = {key: value for key, value in document.items() if key not in stacks}
    return _merged(base, document.get(mode.value, {}))


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = (
            _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged


def convert(table: Mapping[str, Any]) -> Steering:
    """A resolved table to typed settings, or a sentence naming the key that is wrong."""
    try:
        return msgspec.convert(table, Steering, strict=True)
    except msgspec.ValidationError as error:
        raise UserError(
            f"kobe.toml: {_sentence(str(error), table)}", exit_code=CONFIG_PIN_ERROR
        ) from error


def _sentence(error: str, table: Mapping[str, Any]) -> str:
    """msgspec says ``Object contains unknown field `x` - at `$.a.b` ``; add the nearest key that exists there."""
    reason, _, where = error.partition(" - at ")
    path = where.strip("`").removeprefix("$").strip(".")
    if "unknown field" not in reason:
        return f"{reason} (at {path or 'the top'})."
    name = reason.split("`")[1]
    known = _keys_at(path)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0)
    place = f"[{path}]" if path else "the top level"
    return f"unknown key {name!r} in {place}; the nearest known one is {near[0]!r}."


def _keys_at(path: str) -> list[str]:
    struct: Any = Steering
    for name in filter(None, path.split(".")):
        struct = Steering.__annotations__.get(name, "")
    if isinstance(struct, str):
        struct = globals().get(struct, Steering)
    return list(struct.__struct_fields__)


def _without_floats(value: Any) -> Any:
    """The resolved table as the pin sees it: floats as their shortest text, so equal settings are equal bytes."""
    if isinstance(value, dict):
        return {key: _without_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_floats(item) for item in value]
    return repr(value) if isinstance(value, float) else value


def code_digest() -> str:
    """The digest of every source file of ours, so that a mixed deployment shows."""
    root = Path(__file__).parents[3]
    digest = hashlib.sha256()
    for room in ("shared", "services"):
        for path in sorted((root / room).rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
