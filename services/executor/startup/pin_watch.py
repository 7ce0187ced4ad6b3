"""Whether kobe.toml still is the configuration this process was pinned to.

Called by the last look before an order that could open something; a look costs one stat.
"""

from dataclasses import dataclass, field

from shared.domain.errors import UserError
from shared.runtime.config.settings import (
    DEFAULT_FILE,
    Settings,
    config_pin,
    read_document,
    resolve,
)


@dataclass
class PinWatch:
    settings: Settings
    _seen: tuple[int, int] = (0, 0)
    _answer: str = field(default="", init=False)

    def __call__(self) -> str:
        """A sentence if the file on disk has another pin, or cannot be read; else ""."""
        path = self.settings.environment.config_file or DEFAULT_FILE
        try:
            stat = path.stat()
        except OSError as error:
            return f"the configuration {path.name} cannot be read: {error.strerror}"
        seen = (stat.st_mtime_ns, stat.st_size)
        if seen != self._seen:
            self._seen, self._answer = seen, self._compare()
        return self._answer

    def _compare(self) -> str:
        path = self.settings.environment.config_file or DEFAULT_FILE
        try:
            pin = config_pin(resolve(read_document(path), self.settings.mode))
        except UserError as error:
            return str(error)
        if pin == self.settings.config_pin:
            return ""
        return f"{path.name} changed under the running stack: its pin is {pin[:12]} now"
