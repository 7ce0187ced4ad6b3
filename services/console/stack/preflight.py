"""What must hold before a stack is worth starting: every check is made, whatever failed before.

Called by `kobe preflight`. It reads and asks, and places no order. Each check says what it found or
raises UserError; what cannot be checked from here is named as not checked.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from shared.domain.errors import TransientError, UserError
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.config.environment import MISSING_KEYS, Environment
from shared.runtime.config.settings import CONFIG_PIN_ERROR, Settings, load_settings
from shared.schemas.values import Mode

if TYPE_CHECKING:
    import requests

PROBE_FAILED = 4
PROBE_SECONDS = 10
"""A healthy broker answers within one; a person can wait ten."""
CLOCK_SECONDS = 5.0
"""Quotes older than stale_quote's five seconds are refused.

A clock that far off refuses them all.
"""
ENOUGH_DISK = 2 << 30
"""Bytes: a month of chain and logs with room for Redis to rewrite its file."""
KNOWN_CODES = (MISSING_KEYS, CONFIG_PIN_ERROR, PROBE_FAILED)
MODES = {
    Mode.SIM: "sim: past bars and a simulated broker; no keys, no money",
    Mode.PAPER: "paper: a real broker's paper account; no money",
    Mode.LIVE: "LIVE: a real account and real money",
}


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One check; `exit_code` is 0 unless it failed."""

    what: str
    sentence: str
    state: Literal["ok", "failed", "not checked"] = "ok"
    exit_code: int = 0


class NotChecked(Exception):
    """Carries why it could not be, or need not be."""


Check = Callable[[], str]


def run_checks(environ: Mapping[str, str], clock: Clock | None = None) -> list[CheckResult]:
    """The mode first, then everything else."""
    try:
        settings = load_settings(environ)
    except UserError as error:
        # Nothing else can be known without it, not even which keys are needed.
        code = error.exit_code if error.exit_code in KNOWN_CODES else CONFIG_PIN_ERROR
        return [
            CheckResult(what="mode", sentence=environ.get("KOBE_MODE") or "sim, by default"),
            _failure("configuration", error, code),
            CheckResult(
                what="the rest",
                sentence="keys, bars, broker and all else: the configuration comes first",
                state="not checked",
            ),
        ]
    checks = _checks(settings, environ, clock or SystemClock())
    return [_result(what, check, code) for what, check, code in checks]


def exit_code(results: list[CheckResult]) -> int:
    """That of the first failure, in the order of the checks."""
    return next((result.exit_code for result in results if result.exit_code), 0)


def _result(what: str, check: Check, code: int) -> CheckResult:
    try:
        return CheckResult(what=what, sentence=check())
    except NotChecked as reason:
        return CheckResult(what=what, sentence=str(reason), state="not checked")
    except UserError as error:
        return _failure(what, error, error.exit_code if error.exit_code in KNOWN_CODES else code)
    except TransientError as error:
        return _failure(what, error, PROBE_FAILED)


def _failure(what: str, error: Exception, code: int) -> CheckResult:
    sentence = str(error).rstrip(".")
    return CheckResult(what=what, sentence=sentence, state="failed", exit_code=code)


def _checks(
    settings: Settings, environ: Mapping[str, str], clock: Clock
) -> Iterator[tuple[str, Check, int]]:
    """(name, check, exit code of a failure)."""
    environment = settings.environment
    probe = BrokerProbe(environment)
    yield "mode", lambda: _mode(settings.mode, environ), CONFIG_PIN_ERROR
    yield "configuration", lambda: _configuration(settings), CONFIG_PIN_ERROR
    yield "keys", lambda: _keys(settings), MISSING_KEYS
    yield "bars", lambda: _bars(settings), PROBE_FAILED
    yield "broker", lambda: _broker(settings, probe), PROBE_FAILED
    yield "quotes", lambda: _quotes(settings, probe), PROBE_FAILED
    yield "clock", lambda: _clock(probe, clock), PROBE_FAILED
    yield "disk", lambda: _disk(environment), PROBE_FAILED
    yield "Redis", lambda: _redis(environment), PROBE_FAILED
    yield "kill file", lambda: _kill_file(environment), PROBE_FAILED
    yield "arming", lambda: _arming(settings, clock), MISSING_KEYS
    yield "alerts", _alerts, PROBE_FAILED


def _mode(mode: Mode, environ: Mapping[str, str]) -> str:
    by_default = "" if environ.get("KOBE_MODE") else " (the default; set KOBE_MODE for another)"
    return MODES[mode] + by_default


def _configuration(settings: Settings) -> str:
    from shared.rules.registry import load as load_rules
    from shared.strategies.registry import load as load_strategy, params_from

    config = settings.config
    folder = Path(config.strategies.folder) if config.strategies.folder else None
    for name in config.strategies.enabled:
        params_from(load_strategy(name, folder), config.strategies.parameters.get(name, {}))
    load_rules(config.rules)
    if not config.strategies.enabled:
        raise UserError("No strategy is enabled: name at least one in kobe.toml's [strategies]")
    return f"{', '.join(config.strategies.enabled)}; pin {settings.config_pin}"


def _keys(settings: Settings) -> str:
    if settings.mode is Mode.SIM:
        return "sim needs none"
    environment = settings.environment
    needed = {
        "ALPACA_API_KEY_ID": environment.broker_key_id,
        "ALPACA_API_SECRET_KEY": environment.broker_secret_key,
    }
    missing = [name for name, secret in needed.items() if not secret]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} missing; put them into .env (see .env.example), or name a "
            "file in …_FILE",
            exit_code=MISSING_KEYS,
        )
    return "all there"


def _bars(settings: Settings) -> str:
    table = settings.config.bars
    if table.vendor != "folder":
        return f"from {table.vendor}"
    path = Path(table.folder)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        return f"from {path}"
    raise UserError(
        f"{path} holds no bars; put CSV or Parquet files of daily bars there, or name another "
        "folder in kobe.toml's [bars]"
    )


class BrokerProbe:
    """Asks the broker once about the account; clock and account checks share the answer."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._account: requests.Response | None = None

    def account(self) -> requests.Response:
        self._account = self._account or self.ask(f"{self._environment.broker_url}/v2/account")
        return self._account

    def quotes(self) -> requests.Response:
        url = self._environment.broker_data_url
        return self.ask(f"{url}/v2/stocks/quotes/latest?symbols=SPY")

    def ask(self, url: str) -> requests.Response:
        """Raises UserError if the answer is not 200."""
        import requests

        headers = {
            "APCA-API-KEY-ID": self._environment.broker_key_id.reveal(),
            "APCA-API-SECRET-KEY": self._environment.broker_secret_key.reveal(),
        }
        try:
            reply = requests.get(url, headers=headers, timeout=PROBE_SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            raise UserError(
                f"{url} does not answer ({type(error).__name__}); check the address and the network"
            ) from error
        if reply.status_code != 200:
            refused = reply.status_code in (401, 403)
            hint = "the keys are not accepted" if refused else "try again later"
            raise UserError(f"{url} answers HTTP {reply.status_code}; {hint}")
        return reply


def _broker(settings: Settings, probe: BrokerProbe) -> str:
    if settings.mode is Mode.SIM:
        raise NotChecked("sim asks nobody outside this machine")
    found = probe.account()
    number = _account_number(found)
    expected = settings.environment.account
    if number and expected not in ("", settings.mode.value, number):
        raise UserError(f"The account is {number}, but KOBE_ACCOUNT says {expected}")
    return f"{settings.environment.broker_url} answers{f', account {number}' if number else ''}"


def _account_number(reply: requests.Response) -> str:
    try:
        body = msgspec.json.decode(reply.content, type=dict[str, object])
    except msgspec.DecodeError:
        return ""
    return str(body.get("account_number", ""))


def _quotes(settings: Settings, probe: BrokerProbe) -> str:
    if settings.mode is Mode.SIM:
        raise NotChecked("sim asks nobody outside this machine")
    probe.quotes()
    return f"{settings.environment.broker_data_url} answers"


def _clock(probe: BrokerProbe, clock: Clock) -> str:
    """Against the broker's Date header, which is whole seconds."""
    try:
        sent = probe.account().headers.get("Date")
    except UserError:
        raise NotChecked("the broker, whose clock it is compared with, does not answer") from None
    if sent is None:
        raise NotChecked("the broker's answer has no date")
    off = (clock.now() - parsedate_to_datetime(sent)) / dt.timedelta(seconds=1)
    if abs(off) > CLOCK_SECONDS:
        raise UserError(
            f"This machine's clock is {off:+.0f} s from the broker's; set it, and keep it by NTP"
        )
    return f"within {CLOCK_SECONDS:.0f} s of the broker's"


def _disk(environment: Environment) -> str:
    folder = next(path for path in _upwards(environment.state_dir.absolute()) if path.exists())
    free = shutil.disk_usage(folder).free
    text = f"{free / (1 << 30):.1f} GiB free at {folder}"
    if free < ENOUGH_DISK:
        raise UserError(f"{text}; {ENOUGH_DISK >> 30} GiB are needed for a month of chain and logs")
    return text


def _upwards(path: Path) -> Iterator[Path]:
    yield path
    yield from path.parents


def _redis(environment: Environment) -> str:
    if not environment.redis_password:
        raise NotChecked("KOBE_REDIS_PASSWORD_FILE is not set; a stack brings its own Redis")
    from shared.runtime.bus.redis_connection import Address, RedisConnection

    address = Address.parse(
        environment.redis_url,
        username=environment.redis_user,
        password=environment.redis_password.reveal(),
    )
    connection = RedisConnection(address)
    try:
        connection.one("PING")
    finally:
        connection.close()
    return f"{address.host}:{address.port} answers"


def _kill_file(environment: Environment) -> str:
    if environment.kill_file.exists():
        raise UserError(
            f"{environment.kill_file} is there, which halts every stack that sees it; remove it"
        )
    return "none"


def _arming(settings: Settings, clock: Clock) -> str:
    if settings.mode is not Mode.LIVE:
        raise NotChecked("only live is armed")
    from services.executor.startup.live_guards import refuse_unarmed

    environment = settings.environment
    refuse_unarmed(Mode.LIVE, environment.arm_file, environment.account, clock.now())
    return f"armed by {environment.arm_file}"


def _alerts() -> str:
    raise NotChecked("whether an alert reaches you; cause one and see")
