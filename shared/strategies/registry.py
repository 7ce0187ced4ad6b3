"""Finds strategies by file name, in this room and in the user's folder, and reads their parameters.

Called where strategies are named: signal-engine, research, console. It never decides which are
enabled.
"""

import dataclasses
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

import msgspec

from shared.domain.errors import UserError
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.domain.spelling import did_you_mean

ROOM = Path(__file__).parent
NOT_STRATEGIES = {"__init__", "parameters", "registry", "frames", "proof", "proof_checks", "warm"}
OFFERS = ("NAME", "Params", "warmup", "signals")


class Strategy(Protocol):
    """What a strategy's module offers; every field of the dataclass `Params` has a default."""

    NAME: str
    Params: type[Any]

    def warmup(self, params: Any) -> int: ...

    def signals(self, panel: Panel, params: Any) -> SignalTable: ...


def available(folder: Path | None = None) -> tuple[str, ...]:
    """The names of our strategies and of those in the user's folder, sorted."""
    own = {path.stem for path in ROOM.glob("*.py")} - NOT_STRATEGIES
    return tuple(sorted(own | set(_user_files(folder))))


def load(name: str, folder: Path | None = None) -> Strategy:
    """The strategy of that name.

    Raises UserError if there is none, or if its file cannot be loaded or offers too little.
    """
    theirs = _user_files(folder)
    ours = (ROOM / f"{name}.py").is_file() and name not in NOT_STRATEGIES
    if ours and name in theirs:
        raise UserError(
            f"The strategy file {theirs[name]} has the name of a built-in strategy; rename it."
        )
    if ours:
        return cast(Strategy, importlib.import_module(f"shared.strategies.{name}"))
    if name not in theirs:
        raise UserError(f"There is no strategy {name!r}; {did_you_mean(name, available(folder))}")
    return _require_offers(_import_file(name, theirs[name]), theirs[name])


def params_from(strategy: Strategy, mapping: Mapping[str, Any]) -> Any:
    """The strategy's `Params` with these values.

    Raises UserError if a name is unknown, a type is wrong or a value is out of range.
    """
    known = [field.name for field in dataclasses.fields(strategy.Params)]
    for name in mapping:
        if name not in known:
            raise UserError(
                f"The strategy {strategy.NAME!r} has no parameter {name!r}; "
                f"{did_you_mean(name, known)}"
            )
    try:
        return msgspec.convert(mapping, strategy.Params, strict=True)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at ")
        place = where.strip("`").removeprefix("$.")
        raise UserError(
            f"The strategy {strategy.NAME!r}, parameter {place!r}: {reason}."
        ) from error


def _user_files(folder: Path | None) -> dict[str, Path]:
    if folder is None:
        return {}
    if not folder.is_dir():
        raise UserError(f"The folder of strategies {folder} does not exist.")
    return {
        path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")
    }


def _import_file(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"kobe_strategies.{name}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"The strategy file {path} is not a Python module.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and compiled code look their module up by name.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(
            f"The strategy file {path} cannot be loaded: {type(error).__name__}: {error}."
        ) from error
    return module


def _require_offers(module: ModuleType, path: Path) -> Strategy:
    missing = [name for name in OFFERS if not hasattr(module, name)]
    if missing:
        raise UserError(f"The strategy file {path} does not offer {', '.join(missing)}.")
    strategy = cast(Strategy, module)
    if path.stem != strategy.NAME:
        sentence = f"The strategy file {path} has NAME = {strategy.NAME!r}"
        raise UserError(f"{sentence}; NAME must be the file's name, {path.stem!r}.")
    params = strategy.Params
    if not (isinstance(params, type) and dataclasses.is_dataclass(params)):
        raise UserError(f"The Params of the strategy file {path} must be a dataclass.")
    try:
        params()
    except TypeError as error:
        raise UserError(
            f"Every parameter of the strategy file {path} needs a default: {error}."
        ) from error
    return strategy
