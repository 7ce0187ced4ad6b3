"""Starts the signal-engine: loads the enabled strategies with their parameters, and runs."""

from pathlib import Path

from services.signal_engine.handlers import HANDLERS, State, counters, counts, gauges
from services.signal_engine.scan import EnabledStrategy
from services.signal_engine.work import SignalEngineWork
from shared.domain.errors import UserError
from shared.runtime.config.settings import CONFIG_PIN_ERROR, Settings
from shared.runtime.runner.contract import Service
from shared.runtime.runner.wiring import Wiring, run_service
from shared.schemas.streams import ServiceName
from shared.strategies import registry


def load_strategies(settings: Settings) -> tuple[EnabledStrategy, ...]:
    """The enabled strategies in rank order. Raises UserError if a name or parameter is unknown."""
    table = settings.config.strategies
    folder = Path(table.folder) if table.folder else None
    try:
        loaded = [(name, registry.load(name, folder)) for name in table.enabled]
        return tuple(
            EnabledStrategy(
                strategy, registry.params_from(strategy, table.parameters.get(name, {}))
            )
            for name, strategy in loaded
        )
    except UserError as error:
        raise UserError(str(error), exit_code=CONFIG_PIN_ERROR) from error


def build(wiring: Wiring) -> Service[State, None]:
    settings = wiring.settings
    return Service(
        name=ServiceName.SIGNAL_ENGINE,
        initial=State(),
        handlers=HANDLERS,
        settings=None,
        work=SignalEngineWork(
            settings.environment.archive_dir, load_strategies(settings), wiring.clock, wiring.log
        ),
        gauges=gauges,
        counters=counters(settings.config.strategies.enabled),
        counts=counts,
    )


if __name__ == "__main__":
    run_service(ServiceName.SIGNAL_ENGINE, build)
