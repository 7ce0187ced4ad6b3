"""The one way functions on arrays are compiled: cached on disk, releasing the GIL, exact.

Decorates kernels of the domain and of strategies; never imported by what must stay free of numba.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound=np.generic)


def jit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile at the first call per argument types.

    No fastmath: the same bars must give the same signals on every machine.
    """
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return cast(Callable[P, R], _stamp_with_dependencies(compiled))


def jit_inline(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a part of a kernel into its caller: named tuples of arrays are costly to pass."""
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)(function)
    return cast(Callable[P, R], _stamp_with_dependencies(compiled))


def _stamp_with_dependencies(kernel: Any) -> Any:
    """Make a cached kernel stale when anything it was compiled from has changed.

    Numba's cache compares only the kernel's own file, but kernels and constants imported from other
    files are part of the compiled form too.
    """
    index = kernel._cache._cache_file
    scope = kernel.py_func.__globals__
    used = [scope[name] for name in kernel.py_func.__code__.co_names if name in scope]
    index._source_stamp = (index._source_stamp, *(_stamp_of(each) for each in used))
    return kernel


def _stamp_of(used: Any) -> Any:
    if hasattr(used, "py_func"):
        return used._cache._cache_file._source_stamp
    return repr(used) if isinstance(used, (int, float, tuple)) else None


def read_only(array: NDArray[T]) -> NDArray[T]:
    """A contiguous, read-only, plain view of an array; a copy only if it is not contiguous.

    Memory maps, views and fresh arrays then share one compiled form.
    """
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view
