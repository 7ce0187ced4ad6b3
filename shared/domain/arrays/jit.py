"""The one way in which functions on arrays are compiled: cached on disk, without the interpreter's lock, exact.

Decorates kernels of the domain and of strategies; never used by what must stay free of numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound=np.generic)


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile at the first call per argument types; no fastmath, so results do not depend on the machine."""
    return cast(
        Callable[P, R], _stamped(numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    )


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """The same for a part of a kernel, melted into its caller: bundles of arrays are costly to hand over."""
    decorated = numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)(function)
    return cast(Callable[P, R], _stamped(decorated))


def _stamped(kernel: Any) -> Any:
    """Numba's cache asks only whether a kernel's own file has changed. What it uses from other files is part of its
    compiled form too (kernels above it, constants), so that must make the cached form stale as
    well."""
    index = kernel._cache._cache_file
    scope = kernel.py_func.__globals__
    used = [scope[name] for name in kernel.py_func.__code__.co_names if name in scope]
    index._source_stamp = (index._source_stamp, *(_stamp_of(each) for each in used))
    return kernel


def _stamp_of(used: Any) -> Any:
    if hasattr(used, "py_func"):
        return used._cache._cache_file._source_stamp
    return repr(used) if isinstance(used, (int, float, tuple)) else None


def frozen(array: NDArray[T]) -> NDArray[T]:
    """A contiguous, read-only plain view (a copy only if not contiguous), so that memory maps, views and fresh
    arrays share one compiled form."""
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view
