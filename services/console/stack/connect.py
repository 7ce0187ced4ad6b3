"""A client of the stack that a command speaks to. Called by the commands that look and steer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from services.console.stack.address import find_stack, password_of

if TYPE_CHECKING:
    from services.console.stack.client import StackClient


def open_client(environ: Mapping[str, str]) -> StackClient:
    """The client; its Redis library is imported once it is known that there is a stack.

    Raises UserError if there is none.
    """
    address = find_stack(environ)
    password_of(address)
    from services.console.stack.client import StackClient

    return StackClient(address)
