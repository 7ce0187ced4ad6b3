"""Loads the compiled kernels while something else is waited for.

Called by the command line in a thread of its own. It changes no result; where it fails, whoever
needs the kernels meets and reports the same failure.
"""

import contextlib


def preload() -> None:
    """Load them."""
    with contextlib.suppress(Exception):
        from services.research.engine.warm_kernels import warm_kernels

        warm_kernels()
