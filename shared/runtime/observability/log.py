"""The logs of a service: JSON lines in a rotated file, a short line on the terminal, masked.

Everything that is logged in the process goes through the same two handlers, whatever logger it
came from, and is masked as finished text.
"""

import logging
import logging.handlers
import re
import sys
import threading
from collections.abc import MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import msgspec
import structlog

from shared.runtime.config.settings import Settings
from shared.runtime.observability.masking import Mask

# A scan has up to 1,800 signals; a log line needs their number only.
LONG_LIST = 8
# They speak of every request; what matters of it is logged by us.
NOISY = ("uvicorn", "uvicorn.access", "urllib3", "websockets")


class Log(Protocol):
    """A structured logger: an event name and fields. structlog's, or a test's."""

    def info(self, event: str, /, **fields: object) -> object: ...

    def warning(self, event: str, /, **fields: object) -> object: ...

    def error(self, event: str, /, **fields: object) -> object: ...

    def critical(self, event: str, /, **fields: object) -> object: ...


def logger() -> Log:
    log: Log = structlog.get_logger()
    return log


def configure_logging(settings: Settings, service: str) -> None:
    """Log JSON lines to `<log_dir>/<service>/events.jsonl`, and what people must see to stdout.

    Nothing is written twice: the file holds everything, the terminal only lines from
    `[logging] terminal` on. Where the file cannot be written, stdout holds everything.
    """
    limits = settings.config.logging
    mask = Mask(settings.environment.secrets())
    terminal = logging.StreamHandler(sys.stdout)
    terminal.setLevel(limits.terminal.upper())
    terminal.setFormatter(MaskedLines(mask, _terminal_line))
    handlers: list[logging.Handler] = [terminal]
    folder = settings.environment.log_dir / service
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _rotating_file(
            folder / "events.jsonl", limits.rotate_megabytes << 20, limits.keep_files
        )
        file.setFormatter(MaskedLines(mask, structlog.processors.JSONRenderer(sort_keys=False)))
        handlers.append(file)
    except OSError as error:
        print(
            f"logs go to stdout only: {folder} cannot be written ({error.strerror})",
            file=sys.stderr,
        )
        terminal.setLevel(limits.level.upper())
    logging.basicConfig(level=limits.level.upper(), handlers=handlers, force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    _configure_structlog()
    structlog.contextvars.bind_contextvars(service=service, mode=settings.mode.value)
    _log_what_nobody_caught()


class MaskedLines(logging.Formatter):
    """One line a record, from structlog or not, traceback included; masked at the very end."""

    def __init__(self, mask: Mask, renderer: structlog.typing.Processor) -> None:
        super().__init__()
        self._mask = mask
        self._lines = structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_common(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(self._lines.format(record))


def _terminal_line(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    """`14:30:05 risk-gate WARNING lease_lost why=…`: a line for a person at a terminal."""
    fields = dict(event)
    head = [str(fields.pop(key, "")) for key in ("ts", "service", "level", "event")]
    head[0] = head[0][11:19]
    head[2] = head[2].upper()
    fields.pop("mode", None)
    trace = fields.pop("exception", "")
    line = " ".join([*head, *(f"{key}={value}" for key, value in fields.items())])
    return f"{line}\n{trace}" if trace else line


def _common() -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    ]


def _configure_structlog() -> None:
    structlog.configure(
        processors=[*_common(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _log_what_nobody_caught() -> None:
    """Tracebacks that Python would print by itself, and warnings, become masked lines too."""
    # A line that cannot be written (a full disk) must not print its raw arguments to stderr.
    logging.raiseExceptions = False
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    logger().critical("uncaught", error=repr(error), exc_info=(kind, error, trace))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    error = args.exc_value
    logger().critical(
        "uncaught",
        error=repr(error),
        thread=args.thread.name if args.thread else "",
        exc_info=(args.exc_type, error, args.exc_traceback),
    )


def _rotating_file(file: Path, size: int, keep: int) -> logging.Handler:
    return logging.handlers.RotatingFileHandler(
        file, maxBytes=size, backupCount=keep, delay=True, encoding="utf-8"
    )


def event_name(message: msgspec.Struct) -> str:
    """`OrderFilled` is logged as `order_filled`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(message).__name__).lower()


def brief(message: msgspec.Struct) -> dict[str, object]:
    """A message for a log line: long lists as their length."""
    plain = msgspec.to_builtins(message)
    return {
        key: len(value) if isinstance(value, list) and len(value) > LONG_LIST else value
        for key, value in plain.items()
    }
