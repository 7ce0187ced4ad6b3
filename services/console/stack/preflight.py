"""What must hold before a stack is worth starting: configuration, keys, broker, data.

Called by `kobe preflight`. It reads and asks, and places no order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import requests

from shared.domain.errors import UserError
from shared.rules.registry import load as load_rules
from shared.runtime.config.environment import MISSING_KEYS, Environment
from shared.runtime.config.settings import CONFIG_PIN_ERROR, Settings, load_settings
from shared.schemas.values import Mode
from shared.strategies.registry import load as load_strategy, params_from

PROBE_FAILED = 4
PROBE_SECONDS = 10
"""A healthy broker answers within one; a person can wait ten."""


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One check; `exit_code` is 0 if it passed."""

    what: str
    sentence: str
    exit_code: int = 0


def run_checks(environ: Mapping[str, str]) -> list[CheckResult]:
    """Everything that can be checked, in the order of the exit codes; a failure ends the list."""
    found: list[CheckResult] = []
    for check in _checks(environ):
        try:
            found.append(check())
        except UserError as error:
            code = (
                error.exit_code
                if error.exit_code in (MISSING_KEYS, PROBE_FAILED)
                else CONFIG_PIN_ERROR
            )
            found.append(CheckResult(what="configuration", sentence=str(error), exit_code=code))
        if found[-1].exit_code:
            break
    return found


def _checks(environ: Mapping[str, str]) -> Iterator[Callable[[], CheckResult]]:
    loaded: list[Settings] = []

    def configuration() -> CheckResult:
        loaded.append(load_settings(environ))
        return _configuration(loaded[0])

    yield configuration
    settings = loaded[0]
    if settings.mode is Mode.SIM:
        yield lambda: CheckResult(
            what="keys", sentence="sim needs no keys and asks nobody outside this machine"
        )
        return
    yield lambda: _keys(settings.environment)
    yield lambda: _bars(settings)
    yield lambda: _broker(settings.environment)
    yield lambda: _data(settings.environment)


def _configuration(settings: Settings) -> CheckResult:
    config = settings.config
    for name in config.strategies.enabled:
        module = load_strategy(
            name, Path(config.strategies.folder) if config.strategies.folder else None
        )
        params_from(module, config.strategies.parameters.get(name, {}))
    load_rules(config.rules)
    if not config.strategies.enabled:
        raise UserError(
            "No strategy is enabled: name at least one in [strategies].", exit_code=CONFIG_PIN_ERROR
        )
    return CheckResult(
        what="configuration",
        sentence=f"mode {settings.mode.value}, config pin {settings.config_pin}",
    )


def _keys(environment: Environment) -> CheckResult:
    needed = {
        "ALPACA_API_KEY_ID": environment.broker_key_id,
        "ALPACA_API_SECRET_KEY": environment.broker_secret_key,
    }
    missing = [name for name, secret in needed.items() if not secret]
    if missing:
        sentence = (
            f"{' and '.join(missing)} missing; put them into .env (see .env.example), or name a "
            "file in …_FILE"
        )
        return CheckResult(what="keys", sentence=sentence, exit_code=MISSING_KEYS)
    return CheckResult(what="keys", sentence="all there")


def _bars(settings: Settings) -> CheckResult:
    table = settings.config.bars
    if table.vendor != "folder":
        return CheckResult(what="bars", sentence=f"from {table.vendor}")
    path = Path(table.folder)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        return CheckResult(what="bars", sentence=f"from {path}")
    sentence = (
        f"{path} holds no bars; put CSV or Parquet files of daily bars there, or name another "
        "folder in kobe.toml's [bars]"
    )
    return CheckResult(what="bars", sentence=sentence, exit_code=PROBE_FAILED)


def _broker(environment: Environment) -> CheckResult:
    return _probe("broker", f"{environment.broker_url}/v2/account", environment)


def _data(environment: Environment) -> CheckResult:
    return _probe(
        "data", f"{environment.broker_data_url}/v2/stocks/quotes/latest?symbols=SPY", environment
    )


def _probe(what: str, url: str, environment: Environment) -> CheckResult:
    headers = {
        "APCA-API-KEY-ID": environment.broker_key_id.reveal(),
        "APCA-API-SECRET-KEY": environment.broker_secret_key.reveal(),
    }
    try:
        reply = requests.get(url, headers=headers, timeout=PROBE_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        sentence = (
            f"{url} does not answer ({type(error).__name__}); check the address and the network"
        )
        return CheckResult(what=what, sentence=sentence, exit_code=PROBE_FAILED)
    if reply.status_code != 200:
        hint = "the keys are not accepted" if reply.status_code in (401, 403) else "try again later"
        sentence = f"{url} answers HTTP {reply.status_code}; {hint}"
        return CheckResult(what=what, sentence=sentence, exit_code=PROBE_FAILED)
    return CheckResult(what=what, sentence=f"{url} answers")
