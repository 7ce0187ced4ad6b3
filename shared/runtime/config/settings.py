"""Settings: kobe.toml for the numbers that decide; the environment for addresses, mode and secrets.

`load_settings(environ)` is called once by every `__main__`; an unknown key or variable is refused
with its name and the nearest known one. The config pin is the digest of the mode's resolved table,
so no number that decides escapes it.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from shared.domain.errors import UserError
from shared.domain.spelling import did_you_mean
from shared.runtime.config.environment import Environment, read_environment
from shared.runtime.config.tables import Config
from shared.runtime.config.universe_list import read_universe
from shared.schemas.envelope import canonical
from shared.schemas.values import Mode

# In a wheel the shipped configuration lies beside this file, in a checkout in compose/.
_PACKAGED = Path(__file__).with_name("kobe.toml")
_CHECKOUT = Path(__file__).parents[3] / "compose" / "kobe.toml"
DEFAULT_FILE = _PACKAGED if _PACKAGED.is_file() else _CHECKOUT
CONFIG_PIN_ERROR = 3


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a service knows at its start."""

    config: Config
    environment: Environment
    config_pin: str
    code_digest: str

    @property
    def mode(self) -> Mode:
        return self.environment.mode


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read file and environment; raises UserError with one sentence."""
    environment = read_environment(environ)
    document = read_document(environment.config_file or DEFAULT_FILE)
    table = resolve(document, environment.mode)
    pin = config_pin(table)
    if environment.config_pin not in ("", pin):
        raise UserError(
            f"The configuration's pin is {pin}, but KOBE_CONFIG_PIN demands "
            f"{environment.config_pin}; undo the change, or pin the new one on purpose.",
            exit_code=CONFIG_PIN_ERROR,
        )
    config = convert(table)
    _refuse_make_believe(config, environment.mode)
    return Settings(
        config=config, environment=environment, config_pin=pin, code_digest=code_digest()
    )


def _refuse_make_believe(config: Config, mode: Mode) -> None:
    """Sample bars and replayed time are for sim alone: no broker's order may rest on them."""
    if mode is Mode.SIM:
        return
    if config.bars.vendor == "sample":
        raise UserError(
            f"{mode} cannot trade on the sample bars: "
            "name a vendor of real ones in kobe.toml's [bars].",
            exit_code=CONFIG_PIN_ERROR,
        )
    if config.timetable.clock != "system":
        raise UserError(
            f'{mode} needs clock = "system" in kobe.toml\'s [timetable]; '
            "a replayed clock is for sim alone.",
            exit_code=CONFIG_PIN_ERROR,
        )


def read_document(path: Path) -> dict[str, Any]:
    """kobe.toml as it stands, or the same as JSON (what an embedded stack writes for itself)."""
    try:
        text = path.read_text(encoding="utf-8")
        document: dict[str, Any] = (
            msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text)
        )
    except OSError as error:
        raise UserError(
            f"The configuration {path} cannot be read: {error.strerror}.",
            exit_code=CONFIG_PIN_ERROR,
        ) from error
    except (ValueError, msgspec.DecodeError) as error:
        raise UserError(
            f"The configuration {path} is not valid: {error}.", exit_code=CONFIG_PIN_ERROR
        ) from error
    return document


def with_changes(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
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
    """The base tables under the mode's own, the universe's list read into its symbols.

    Raises UserError if the mode's own are not a table, or the list cannot be read.
    """
    stacks = {mode.value for mode in Mode}
    base = {key: value for key, value in document.items() if key not in stacks}
    own = document.get(mode.value, {})
    if not isinstance(own, dict):
        raise UserError(
            f"kobe.toml: {mode.value!r} must be a table, not {own!r}.", exit_code=CONFIG_PIN_ERROR
        )
    return with_listed_symbols(_merge(base, own))


def with_listed_symbols(table: Mapping[str, Any]) -> dict[str, Any]:
    """The symbols of the universe's list in their place, so that the pin covers them too.

    Raises UserError if both a list and symbols are given, or the list cannot be read.
    """
    universe = table.get("universe")
    name = universe.get("list") if isinstance(universe, dict) else None
    if not isinstance(universe, dict) or not isinstance(name, str) or not name:
        return dict(table)
    if universe.get("symbols"):
        raise UserError(
            "kobe.toml: [universe] has both a list and symbols; empty one of them.",
            exit_code=CONFIG_PIN_ERROR,
        )
    return {**table, "universe": {**universe, "symbols": list(read_universe(name))}}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    return {**base, **{key: _overlay(base.get(key), value) for key, value in over.items()}}


def _overlay(below: Any, value: Any) -> Any:
    both = isinstance(below, dict) and isinstance(value, dict)
    return _merge(below, value) if both else value


def convert(table: Mapping[str, Any]) -> Config:
    """A resolved table as typed settings; raises UserError naming the key that is wrong."""
    try:
        return msgspec.convert(table, Config, strict=True)
    except msgspec.ValidationError as error:
        raise UserError(
            f"kobe.toml: {_sentence(str(error))}", exit_code=CONFIG_PIN_ERROR
        ) from error


def _sentence(error: str) -> str:
    """Msgspec's error, ``Object contains unknown field `x` - at `$.a` ``, with the nearest key."""
    reason, _, where = error.partition(" - at ")
    path = where.strip("`").removeprefix("$").strip(".")
    if "unknown field" not in reason:
        return f"{reason} (at {path or 'the top level'})."
    name = reason.split("`")[1]
    place = f"[{path}]" if path else "the top level"
    return f"unknown key {name!r} in {place}; {did_you_mean(name, _keys_at(path))}"


def _keys_at(path: str) -> tuple[str, ...]:
    struct: Any = Config
    for name in filter(None, path.split(".")):
        struct = get_type_hints(struct)[name]
    keys: tuple[str, ...] = struct.__struct_fields__
    return keys


def config_pin(table: Mapping[str, Any]) -> str:
    """The sha256 of what decides trades. Research's grids do not: trying values halts no stack."""
    trading = {name: value for name, value in table.items() if name != "research"}
    return hashlib.sha256(canonical(_without_floats(trading))).hexdigest()


def _without_floats(value: Any) -> Any:
    """Floats as their shortest text, so that equal settings are equal bytes."""
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
