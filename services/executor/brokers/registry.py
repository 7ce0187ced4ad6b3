"""Finds a broker by its file name: any module or package in this folder with a `connect` function.

Called by the executor's `__main__` with `[broker] name` of kobe.toml; there is no list to edit.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from services.executor import brokers
from services.executor.brokers.protocol import BrokerConnection
from shared.domain.errors import UserError
from shared.domain.spelling import did_you_mean
from shared.runtime.clock import Clock
from shared.runtime.config.environment import Secret
from shared.runtime.config.settings import CONFIG_PIN_ERROR
from shared.runtime.observability.log import Log
from shared.schemas.values import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPlace:
    """Where a broker is reached, with which keys and limits; each takes what it needs."""

    mode: Mode
    url: str
    stream_url: str
    data_url: str
    key_id: Secret
    secret_key: Secret
    requests_per_minute: int
    reserved_requests: int
    post_deadline_seconds: float
    clock: Clock
    log: Log
    test: bool = False


def connect_broker(name: str, place: BrokerPlace) -> BrokerConnection:
    """Raises UserError if no broker has that name, or if address and key do not fit the mode."""
    known = broker_names()
    if name not in known:
        raise UserError(
            f"There is no broker {name!r} ([broker] name in kobe.toml); "
            f"{did_you_mean(name, known)}",
            exit_code=CONFIG_PIN_ERROR,
        )
    return _connect_functions()[name](place)


def broker_names() -> list[str]:
    return sorted(_connect_functions())


def _connect_functions() -> dict[str, Callable[[BrokerPlace], BrokerConnection]]:
    names = (module.name for module in pkgutil.iter_modules(brokers.__path__))
    modules = {name: importlib.import_module(f"{brokers.__name__}.{name}") for name in names}
    return {name: module.connect for name, module in modules.items() if hasattr(module, "connect")}
