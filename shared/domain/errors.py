"""The kinds of accident. A refusal is a value (a message), never an exception.

TransientError: try again later. InvalidMessage: to the dead-letter stream. InvariantBroken: stop
the process. UserError: one sentence for a person, with the exit code of the command that raised it.
"""


class TransientError(Exception):
    """The world is not there just now (timeout, 429, 5xx, Redis away); nothing was acknowledged."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InvalidMessage(Exception):
    """An entry that no retry makes readable: undecodable, oversized, badly signed."""


class InvariantBroken(Exception):
    """What can never be true is true; going on would act on a false picture."""


class UserError(Exception):
    """Bad input; its one sentence says what is wrong and what to do."""

    def __init__(self, sentence: str, *, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
