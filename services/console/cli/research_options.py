"""The options that research commands share, and the inputs they amount to with kobe.toml.

Called by cli/research.py. It opens no bars and imports no kernels.
"""

from __future__ import annotations

import datetime as dt
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shared.domain.errors import UserError
from shared.schemas.json_types import JsonObject

if TYPE_CHECKING:
    from services.research.data.inputs import Inputs
    from shared.domain.market.adjustment import Basis
    from shared.domain.risk.sizing import SizingMethod
    from shared.runtime.config.tables import Config

USAGE = 64
RESEARCH_SIZING = "cash_fraction:0.007"

Strategies = Annotated[
    str, typer.Option("--strategy", help="Names in rank order: a,b. Default: kobe.toml's.")
]
BarsOption = Annotated[
    str,
    typer.Option("--bars", help="sample, archive, or a CSV or Parquet file or folder of yours."),
]
Universe = Annotated[
    Path | None, typer.Option("--universe", help="A file of symbols: one a line, or a CSV.")
]
Start = Annotated[
    str, typer.Option("--start", help="First session whose signals count: YYYY-MM-DD.")
]
End = Annotated[str, typer.Option("--end", help="Last session: YYYY-MM-DD.")]
Cash = Annotated[str, typer.Option("--cash", help="Starting cash in dollars.")]
SizingOption = Annotated[
    str,
    typer.Option(
        "--sizing",
        help="cash_fraction:0.007, budget:1000 or risk_fraction:0.005. "
        f"Default: {RESEARCH_SIZING}; with --policy, kobe.toml's.",
        show_default=False,
    ),
]
Costs = Annotated[
    str, typer.Option("--costs", help="Slippage in basis points: 5, 5+fees (SEC, TAF) or none.")
]
AllowShorts = Annotated[bool, typer.Option("--allow-shorts", help="Allow short sales.")]
PolicyOption = Annotated[
    bool, typer.Option("--policy", help="Have the risk-gate judge every entry.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Set a strategy's parameter: donchian.lookback=40. Repeatable."),
]
AcceptFlawed = Annotated[
    bool,
    typer.Option("--accept-flawed", help="Leave out bars and files that are flawed, and go on."),
]
Adjust = Annotated[
    str,
    typer.Option("--adjust", help="A file of splits (symbol, ex_date, ratio) for unadjusted bars."),
]
BasisOption = Annotated[
    str,
    typer.Option("--basis", help="What the prices of your files are: unadjusted, split or total."),
]
ModeOption = Annotated[
    str,
    typer.Option(
        "--mode",
        help="Whose sizes and limits: sim, paper or live. Default: KOBE_MODE, else sim.",
        show_default=False,
    ),
]
CashRate = Annotated[
    str, typer.Option("--cash-rate", help="What idle cash earns a year, for comparison: 0.04.")
]
OutFolder = Annotated[Path | None, typer.Option("--out", help="Folder to write to.")]


@dataclass(frozen=True, slots=True)
class ResearchRequest:
    """The options as typed."""

    strategies: str = ""
    bars: str = "sample"
    universe: Path | None = None
    start: str = ""
    end: str = ""
    cash: str = "100000"
    sizing: str = ""
    costs: str = "5"
    allow_shorts: bool = False
    policy: bool = False
    changes: list[str] = field(default_factory=list)
    accept_flawed: bool = False
    adjust: str = ""
    basis: str = ""
    mode: str = ""
    cash_rate: str = "0"
    traded: bool = False
    """Whether sizes are those that are traded, unless others are given."""


def start_preloading() -> None:
    """Load the kernels on another core while arguments are read and bars are opened."""
    threading.Thread(target=_preload, daemon=True).start()


def _preload() -> None:
    from services.research.engine.preload import preload

    preload()


def inputs_from(request: ResearchRequest, environ: Mapping[str, str]) -> Inputs:
    """Typed inputs; kobe.toml's parameters where none were set.

    Raises UserError if an option makes no sense.
    """
    from services.research.data.inputs import Inputs, StrategyInputs, parse_cash, parse_costs
    from shared.runtime.config.settings import load_settings
    from shared.runtime.config.universe_list import read_universe

    config = load_settings(environ_of(request.mode, environ)).config
    names, folder = _names_and_folder(request.strategies, config)
    parameters = _parameters(names, request.changes, config)
    method, size = _sizing(request, config)
    slippage, fees = parse_costs(request.costs)
    return Inputs(
        strategies=tuple(StrategyInputs(name=name, parameters=parameters[name]) for name in names),
        bars=request.bars,
        symbols=read_universe(request.universe) if request.universe else (),
        start=_date("--start", request.start),
        end=_date("--end", request.end),
        cash=parse_cash(request.cash),
        sizing=method,
        size=size,
        slippage_bps=slippage,
        fees=fees,
        allow_shorts=request.allow_shorts,
        policy=request.policy,
        folder=folder,
        accept_flawed=request.accept_flawed,
        adjust=request.adjust,
        basis=parse_basis(request.basis) or "",
        cash_rate=_rate(request.cash_rate),
    )


def parse_basis(text: str) -> Basis | None:
    """The basis by its short name; None if none is named.

    Raises UserError if it is unknown.
    """
    from shared.domain.market.adjustment import Basis

    names = {"unadjusted": Basis.RAW, "split": Basis.SPLIT, "total": Basis.TOTAL}
    if text and text not in names:
        raise UserError(
            f"--basis {text!r} must be unadjusted, split (split-adjusted) or total (dividends "
            f"too).",
            exit_code=USAGE,
        )
    return names.get(text)


def environ_of(mode: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with another mode, if one was given.

    Raises UserError if there is none such.
    """
    from shared.schemas.values import Mode

    if mode and mode not in set(Mode):
        raise UserError(f"--mode {mode!r} must be sim, paper or live.", exit_code=USAGE)
    return {**environ, "KOBE_MODE": mode} if mode else dict(environ)


def _rate(text: str) -> Decimal:
    from services.research.data.inputs import finite

    rate = finite(text)
    if rate is None or not -1 < rate < 1:
        raise UserError(
            f"--cash-rate {text!r} must be a share a year, such as 0.04.", exit_code=USAGE
        )
    return rate


def _names_and_folder(text: str, config: Config) -> tuple[tuple[str, ...], str]:
    """Strategy names, and the folder of the user's own: kobe.toml's, or a named file's."""
    given = [part.strip() for part in text.split(",") if part.strip()] or list(
        config.strategies.enabled
    )
    files = [Path(part) for part in given if part.endswith(".py")]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise UserError(f"There is no strategy file {missing[0]}.")
    folders = {str(file.parent) for file in files} or {config.strategies.folder}
    if len(folders) > 1:
        raise UserError("Strategy files must lie in one folder.", exit_code=USAGE)
    return tuple(Path(part).stem if part.endswith(".py") else part for part in given), folders.pop()


def _parameters(
    names: tuple[str, ...], changes: list[str], config: Config
) -> dict[str, JsonObject]:
    found = {name: dict(config.strategies.parameters.get(name, {})) for name in names}
    for change in changes:
        key, equals, value = change.partition("=")
        strategy, dot, parameter = key.strip().partition(".")
        if not (equals and dot and parameter):
            raise UserError(
                f"--set {change!r} must read STRATEGY.PARAMETER=VALUE.", exit_code=USAGE
            )
        if strategy not in found:
            raise UserError(
                f"--set {change!r}: {strategy!r} is not among {', '.join(names)}.", exit_code=USAGE
            )
        found[strategy][parameter] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _sizing(request: ResearchRequest, config: Config) -> tuple[SizingMethod, Decimal]:
    from services.research.data.inputs import parse_sizing

    if request.sizing or not (request.policy or request.traded or request.mode):
        return parse_sizing(request.sizing or RESEARCH_SIZING)
    table = config.sizing
    return parse_sizing(
        f"{table.method}:{table.per_order if table.method == 'budget' else table.fraction}"
    )


def _date(option: str, text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise UserError(
            f"{option} {text!r} is not a date; write YYYY-MM-DD.", exit_code=USAGE
        ) from None
