"""Decoding what Alpaca answers: strictly, or row by row, or what an error says.

Used by the readers of orders and of the account.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")


class UnreadableReply(ValueError):
    """A body that is not what its address promises."""


class WireError(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""


def decode(body: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnreadableReply(str(error)) from error


def decode_or_none(row: msgspec.Raw, type_: type[T]) -> T | None:
    try:
        return decode(bytes(row), type_)
    except UnreadableReply:
        return None


def build(make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        raise UnreadableReply(str(error)) from error


def read_error(body: bytes) -> WireError:
    """Never raises: what cannot be read has no code."""
    try:
        return msgspec.json.decode(body, type=WireError)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return WireError(message=body[:200].decode("utf-8", "replace"))
