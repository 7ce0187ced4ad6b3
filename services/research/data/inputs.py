"""What a research run is made of, as plain values.

The same inputs have the same digest, hence the same run.

Built by the command line, sent as JSON to queue workers, digested into the run's id. It reads no
bars.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from decimal import Decimal
from typing import Any

import msgspec

from services.research.engine.simulate import SimulationSettings
from shared.domain.errors import UserError
from shared.domain.risk.sizing import Sizing, SizingMethod
from shared.domain.trading.fills import Costs
from shared.schemas.envelope import canonical
from shared.schemas.json_types import JsonObject

COSTS_ON = "fees"
MOST_SLIPPAGE = 5_000
"""Basis points: half the price lost on each fill is a typing error."""
MOST_CASH = 10**12
"""Dollars; the kernels count in ten-thousandths, exactly, to 9e14."""


class StrategyInputs(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy's name and its parameters where they differ from its defaults."""

    name: str
    parameters: JsonObject = {}


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """`bars` is a path, `archive` or `sample`; `symbols` empty means all of them."""

    strategies: tuple[StrategyInputs, ...]
    bars: str = "sample"
    symbols: tuple[str, ...] = ()
    start: dt.date | None = None
    end: dt.date | None = None
    cash: Decimal = Decimal(100_000)
    sizing: SizingMethod = SizingMethod.CASH_FRACTION
    size: Decimal = Decimal("0.007")
    slippage_bps: Decimal = Decimal(5)
    fees: bool = False
    allow_shorts: bool = False
    policy: bool = False
    folder: str = ""
    cash_rate: Decimal = Decimal(0)
    """What idle cash earns a year, for the report's head; the simulation earns nothing on it."""
    accept_flawed: bool = False
    adjust: str = ""
    """A file of splits for unadjusted prices."""
    basis: str = ""
    """What the prices are, where the files do not say: a value of Basis."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(strategy.name for strategy in self.strategies)

    @property
    def terms(self) -> dict[str, str]:
        """How the account trades, in texts: a part of what tells trials apart."""
        return {
            "cash": str(self.cash),
            "sizing": f"{self.sizing}:{self.size}",
            "slippage_bps": str(self.slippage_bps),
            "fees": str(self.fees),
            "allow_shorts": str(self.allow_shorts),
            "policy": str(self.policy),
            "symbols": ",".join(self.symbols),
        }

    @property
    def bars_alone(self) -> Inputs:
        """What decides which bars are opened, and nothing else."""
        return Inputs(
            strategies=(),
            bars=self.bars,
            symbols=self.symbols,
            accept_flawed=self.accept_flawed,
            adjust=self.adjust,
            basis=self.basis,
        )

    @property
    def settings(self) -> SimulationSettings:
        """The simulation's terms; UserError where a number makes no sense."""
        try:
            return SimulationSettings(
                cash=self.cash,
                sizing=Sizing(self.sizing, self.size),
                costs=Costs(slippage_bps=self.slippage_bps, commissions=self.fees),
                allow_shorts=self.allow_shorts,
            )
        except ValueError as error:
            raise UserError(f"{error}.", exit_code=64) from error

    def digest(self, bars_digest: str, code_digest: str) -> str:
        """The run's id: inputs, bars and code. Where bars and strategies lie does not matter."""
        plain = msgspec.to_builtins(
            msgspec.structs.replace(self, bars="", folder="", adjust=""), builtin_types=()
        )
        return hashlib.sha256(canonical([_plain(plain), bars_digest, code_digest])).hexdigest()[:20]


def _plain(value: Any) -> Any:
    """Floats (parameters) as their shortest text, so that equal inputs are equal bytes."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return repr(value) if isinstance(value, float) else value


def parse_costs(text: str) -> tuple[Decimal, bool]:
    """`5`, `10+fees`, `none`: slippage in basis points, and whether regulatory fees are charged.

    Raises UserError for anything else.
    """
    bps, _, fees = text.lower().partition("+")
    if fees not in ("", COSTS_ON):
        raise UserError(
            f"--costs {text!r}: after the plus only `{COSTS_ON}` is known.", exit_code=64
        )
    slippage = finite("0" if bps == "none" else bps)
    if slippage is None or not 0 <= slippage < MOST_SLIPPAGE:
        raise UserError(
            f"--costs {text!r}: give basis points from 0 to below {MOST_SLIPPAGE:,}, "
            "such as 5 or 5+fees, or none.",
            exit_code=64,
        )
    return slippage, bool(fees)


def parse_sizing(text: str) -> tuple[SizingMethod, Decimal]:
    """`cash_fraction:0.007`, `budget:1000`, `risk_fraction:0.005`.

    Raises UserError for anything else.
    """
    method, _, value = text.partition(":")
    known = {each.value: each for each in SizingMethod}
    size = finite(value)
    if method not in known or size is None:
        shape = ", ".join(f"{name}:NUMBER" for name in known)
        raise UserError(f"--sizing {text!r} must be one of {shape}.", exit_code=64)
    return known[method], size


def parse_cash(text: str) -> Decimal:
    """Dollars, commas allowed.

    Raises UserError if it is no amount that can be traded with.
    """
    amount = finite(text.replace(",", ""))
    if amount is None or not 0 < amount <= MOST_CASH:
        raise UserError(
            f"--cash {text!r} must be dollars, more than 0 and at most {MOST_CASH:,}.", exit_code=64
        )
    return amount


def finite(text: str) -> Decimal | None:
    """A finite number; None if the text is none."""
    try:
        number = Decimal(text)
    except ArithmeticError:
        return None
    return number if number.is_finite() else None
