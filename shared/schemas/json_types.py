"""JSON of others as it comes: the one place where `Any` is said aloud.

What is read from it is converted or checked by whoever takes it.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
JsonMapping: TypeAlias = Mapping[str, Any]
