"""The logs of a service: JSON lines to stdout and to a rotated file, with every secret masked."""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from shared.runtime.config.settings import Settings

LONG_LIST = 8


class Log(Protocol):
    """A structured logger: an event name and fields. structlog's, or a test's."""

    def info(self, event: str, /, **fields: object) -> object: ...

    def warning(self, event: str, /, **fields: object) -> object: ...

    def error(self, event: str, /, **fields: object) -> object: ...

    def critical(self, event: str, /, **fields: object) -> object: ...


def configure_logging(settings: Settings, service: str) -> None:
    """JSON lines with `ts, level, event, service, …` on stdout and in `<log_dir>/<service>/events.jsonl`."""
    limits = settings.steering.logging
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    folder = settings.environment.log_dir / service
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handlers.append(
            _rotated(folder / "events.jsonl", limits.rotate_megabytes << 20, limits.keep_files)
        )
    except OSError as error:
        print(
            f"logs go to stdout only: {folder} cannot be written ({error.strerror})",
            file=sys.stderr,
        )
    logging.basicConfig(
        level=limits.level.upper(), handlers=handlers, format="%(message)s", force=True
    )
    for noisy in ("uvicorn", "uvicorn.access", "urllib3", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            _Mask(settings),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=False),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service, mode=settings.mode.value)


def _rotated(file: Path, size: int, keep: int) -> logging.Handler:
    return logging.handlers.RotatingFileHandler(file, maxBytes=size, backupCount=keep, delay=True)


class _Mask:
    """A structlog processor that blots out every secret this process holds."""

    def __init__(self, settings: Settings) -> None:
        environment = settings.environment
        held = (
            environment.redis_password,
            environment.broker_key_id,
            environment.broker_secret_key,
            environment.polygon_api_key,
        )
        self._secrets = [secret.reveal() for secret in held if secret]

    def __call__(
        self, _: Any, __: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = self._masked(value)
        return event

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def logger() -> Log:
    log: Log = structlog.get_logger()
    return log


def event_name(message: msgspec.Struct) -> str:
    """`OrderFilled` is logged as `order_filled`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(message).__name__).lower()


def brief(message: msgspec.Struct) -> dict[str, Any]:
    """A message for a log line: long lists as their length."""
    plain = msgspec.to_builtins(message)
    return {
        key: len(value) if isinstance(value, list) and len(value) > LONG_LIST else value
        for key, value in plain.items()
    }
