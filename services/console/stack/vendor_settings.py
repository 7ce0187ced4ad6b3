"""What a command that asks vendors needs.

Settings, keys from .env, and the request budget of the stack.

Called by the commands that fetch data, build universes and probe vendors.
"""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from services.console.stack.address import find_stack, password_of
from services.data_fetcher.vendor_place import redis_budget, vendor_place
from services.data_fetcher.vendor_registry import BudgetOf, VendorPlace
from shared.domain.errors import TransientError, UserError
from shared.runtime.bus.redis_connection import Address, RedisConnection
from shared.runtime.config.environment import read_env_file
from shared.runtime.config.settings import Settings, load_settings
from shared.runtime.recorded_time import clock_of

ENV_FILE = Path(".env")
CONSOLE = "console"
PATIENCE = 0.5
"""Seconds to wait for a stack's Redis: without one, this process counts its requests alone."""


def command_environ(env_file: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """The shell's variables over those of the file, by default `.env`.

    The mode is paper by default.
    """
    file = env_file or (ENV_FILE if ENV_FILE.is_file() else None)
    kept = {name: value for name, value in (read_env_file(file) if file else {}).items() if value}
    return {"KOBE_MODE": "paper", **kept, **environ}


def ask_settings(environ: Mapping[str, str]) -> tuple[Settings, VendorPlace]:
    """Settings, and where vendors find their keys.

    Requests are counted with the running stack's.
    """
    settings = load_settings(environ)
    place = vendor_place(
        settings, clock=clock_of(settings.environment), budget=_stack_budget(settings, environ)
    )
    return settings, place


def _stack_budget(settings: Settings, environ: Mapping[str, str]) -> BudgetOf | None:
    """In the stack's Redis if one answers, as this process's user or the operator."""
    environment = settings.environment
    try:
        if environment.redis_user:
            user, password = environment.redis_user, environment.redis_password.reveal()
            address = Address.parse(environment.redis_url, username=user, password=password)
        else:
            stack = find_stack(environ)
            address = Address.parse(stack.redis_url, username=CONSOLE, password=password_of(stack))
        with closing(RedisConnection(address, timeout=PATIENCE)) as connection:
            connection.one("PING")
    except (TransientError, UserError):
        return None
    return redis_budget(address)
