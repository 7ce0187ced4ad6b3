"""What the environment may set: addresses, the mode, folders and secrets; no number that decides.

Secrets come as files (`NAME_FILE`) or, for a person's own shell, as `NAME`. They are never logged,
and no error sentence quotes them.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from dotenv.parser import Original, parse_stream

from shared.domain.errors import UserError
from shared.domain.spelling import did_you_mean
from shared.schemas.values import Mode

USAGE = 64
MISSING_KEYS = 2


class Secret:
    """A value that does not print itself."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(set)" if self._value else "Secret(unset)"


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Paths are this process's own; URLs say where the others are."""

    mode: Mode
    account: str
    config_file: Path | None
    config_pin: str
    redis_url: str
    redis_user: str
    redis_password: Secret
    research_redis_url: str
    state_dir: Path
    archive_dir: Path
    archive_url: str
    audit_dir: Path
    witness_dirs: tuple[Path, ...]
    log_dir: Path
    kill_file: Path
    signing_key_file: Path
    public_keys_file: Path
    http_host: str
    http_port: int
    broker_url: str
    broker_data_url: str
    broker_stream_url: str
    broker_key_id: Secret
    broker_secret_key: Secret
    massive_api_key: Secret
    polygon_api_key: Secret
    massive_url: str
    yahoo_url: str
    stooq_url: str
    arm_file: Path
    test: bool
    test_clock: str
    crash: str

    def secrets(self) -> list[str]:
        """Every secret this process holds, for the mask of the log."""
        members = (getattr(self, name) for name in SECRETS.values())
        return [secret.reveal() for secret in members if secret]


# variable -> (member, default); a default of None means: by the mode, below.
VARIABLES: dict[str, tuple[str, str | None]] = {
    "KOBE_MODE": ("mode", "sim"),
    "KOBE_ACCOUNT": ("account", ""),
    "KOBE_CONFIG": ("config_file", ""),
    "KOBE_CONFIG_PIN": ("config_pin", ""),
    "KOBE_REDIS_URL": ("redis_url", "redis://127.0.0.1:6379"),
    "KOBE_REDIS_USER": ("redis_user", ""),
    "KOBE_RESEARCH_REDIS_URL": ("research_redis_url", "redis://127.0.0.1:6380"),
    "KOBE_STATE_DIR": ("state_dir", "state"),
    "KOBE_ARCHIVE_DIR": ("archive_dir", "state/archive"),
    "KOBE_ARCHIVE_URL": ("archive_url", ""),
    "KOBE_AUDIT_DIR": ("audit_dir", "state/audit"),
    "KOBE_WITNESS_DIR": ("witness_dirs", ""),
    "KOBE_LOG_DIR": ("log_dir", "logs"),
    "KOBE_KILL_FILE": ("kill_file", "state/KILL_SWITCH"),
    "KOBE_SIGNING_KEY_FILE": ("signing_key_file", "state/secrets/signing.key"),
    "KOBE_PUBLIC_KEYS_FILE": ("public_keys_file", "state/secrets/public_keys.json"),
    "KOBE_HTTP_HOST": ("http_host", "127.0.0.1"),
    "KOBE_HTTP_PORT": ("http_port", "8000"),
    "KOBE_BROKER_URL": ("broker_url", None),
    "KOBE_BROKER_DATA_URL": ("broker_data_url", None),
    "KOBE_BROKER_STREAM_URL": ("broker_stream_url", None),
    "KOBE_MASSIVE_URL": ("massive_url", "https://api.massive.com"),
    "KOBE_YAHOO_URL": ("yahoo_url", "https://query1.finance.yahoo.com"),
    "KOBE_STOOQ_URL": ("stooq_url", "https://stooq.com"),
    "KOBE_ARM_FILE": ("arm_file", "state/ARMED"),
    "KOBE_TEST": ("test", ""),
    "KOBE_TEST_CLOCK": ("test_clock", ""),
    "KOBE_CRASH": ("crash", ""),
}
SECRETS: dict[str, str] = {
    "KOBE_REDIS_PASSWORD": "redis_password",
    "ALPACA_API_KEY_ID": "broker_key_id",
    "ALPACA_API_SECRET_KEY": "broker_secret_key",
    "MASSIVE_API_KEY": "massive_api_key",
    "POLYGON_API_KEY": "polygon_api_key",  # Massive's former name; asked where the new one is unset
}
BROKER_HOSTS: dict[Mode, dict[str, str]] = {
    Mode.SIM: {
        "broker_url": "http://127.0.0.1:8080",
        "broker_data_url": "http://127.0.0.1:8080",
        "broker_stream_url": "ws://127.0.0.1:8080/stream",
    },
    Mode.PAPER: {
        "broker_url": "https://paper-api.alpaca.markets",
        "broker_data_url": "https://data.alpaca.markets",
        "broker_stream_url": "wss://paper-api.alpaca.markets/stream",
    },
    Mode.LIVE: {
        "broker_url": "https://api.alpaca.markets",
        "broker_data_url": "https://data.alpaca.markets",
        "broker_stream_url": "wss://api.alpaca.markets/stream",
    },
}


def read_environment(environ: Mapping[str, str]) -> Environment:
    """Raises UserError for an unknown variable or an impossible value."""
    _refuse_unknown(environ)
    values = {member: environ.get(name, default) for name, (member, default) in VARIABLES.items()}
    mode = _mode(values.pop("mode") or "")
    hosts = BROKER_HOSTS[mode]
    texts = {member: hosts[member] if text is None else text for member, text in values.items()}
    files: dict[str, Any] = {member: Path(texts[member]) for member in _PATHS}
    secrets: dict[str, Any] = {member: _secret(name, environ) for name, member in SECRETS.items()}
    return Environment(
        mode=mode,
        account=texts["account"] or mode.value,
        config_file=Path(texts["config_file"]) if texts["config_file"] else None,
        config_pin=texts["config_pin"],
        redis_url=texts["redis_url"],
        redis_user=texts["redis_user"],
        research_redis_url=texts["research_redis_url"],
        http_host=texts["http_host"],
        http_port=_port(texts["http_port"]),
        broker_url=texts["broker_url"].rstrip("/"),
        broker_data_url=texts["broker_data_url"].rstrip("/"),
        broker_stream_url=texts["broker_stream_url"],
        massive_url=texts["massive_url"].rstrip("/"),
        yahoo_url=texts["yahoo_url"].rstrip("/"),
        stooq_url=texts["stooq_url"].rstrip("/"),
        archive_url=texts["archive_url"].rstrip("/"),
        test=texts["test"] == "1",
        test_clock=texts["test_clock"],
        crash=texts["crash"],
        witness_dirs=tuple(Path(each) for each in texts["witness_dirs"].split(":") if each),
        **files,
        **secrets,
    )


_PATHS = (
    "state_dir",
    "archive_dir",
    "audit_dir",
    "log_dir",
    "kill_file",
    "signing_key_file",
    "public_keys_file",
    "arm_file",
)


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = {*VARIABLES, *SECRETS, *(f"{name}_FILE" for name in SECRETS)}
    for name in environ:
        if name.startswith("KOBE_") and name not in known:
            raise UserError(
                f"Unknown environment variable {name}; {did_you_mean(name, known)}",
                exit_code=USAGE,
            )


def _mode(text: str) -> Mode:
    try:
        return Mode(text)
    except ValueError:
        raise UserError(
            f"KOBE_MODE is {text!r}; it must be sim, paper or live.", exit_code=USAGE
        ) from None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise UserError(f"KOBE_HTTP_PORT is {text!r}; it must be a port number.", exit_code=USAGE)
    return int(text)


def _secret(name: str, environ: Mapping[str, str]) -> Secret:
    file = environ.get(f"{name}_FILE")
    if not file:
        return Secret(environ.get(name, ""))
    return Secret(_read_text(Path(file), f"{name}_FILE names {file}, which").strip())


def read_env_file(path: Path) -> dict[str, str]:
    """NAME=value lines as python-dotenv reads them: quotes, `export`, comments after a space.

    Raises UserError naming the line that is wrong, never what stands on it.
    """
    text = _read_text(path, str(path))
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            raise UserError(
                f"{path}, line {_line_of(binding.original)}: this is not NAME=value.",
                exit_code=MISSING_KEYS,
            )
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values


def _line_of(original: Original) -> int:
    """Dotenv counts the blank lines before a statement to the statement."""
    blank = original.string[: len(original.string) - len(original.string.lstrip())]
    return original.line + blank.count("\n")


def _read_text(path: Path, what: str) -> str:
    """The text of a small file; `what` begins the sentence if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise UserError(f"{what} cannot be read: {reason}.", exit_code=MISSING_KEYS) from None
