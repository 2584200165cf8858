# ruff: noqa: ANN401  (JSON values and type hints are of any type by nature)
"""Frozen dataclasses to JSON values and back. Unknown keys are ignored: an older envcheck reads a newer recording."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

Record = TypeVar("Record")


class DecodeError(ValueError):
    """The JSON value does not have the shape of the dataclass; the message names the place."""


def encode(value: Any) -> Any:
    """Dataclasses become objects, tuples arrays; everything else must already be a JSON value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    return value


def decode(record: type[Record], value: Any, where: str = "facts") -> Record:
    """Build `record` from what `encode` wrote. Raises DecodeError."""
    if not isinstance(value, dict):
        raise DecodeError(f"{where}: an object was expected, got {type(value).__name__}")
    hints = typing.get_type_hints(record)
    fields = {field.name for field in dataclasses.fields(record)}  # type: ignore[arg-type]
    known = {name: _convert(hints[name], value[name], f"{where}.{name}") for name in value if name in fields}
    try:
        return record(**known)
    except TypeError as error:
        raise DecodeError(f"{where}: {error}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(item for item in arguments if item is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise DecodeError(f"{where}: an array was expected, got {type(value).__name__}")
        return tuple(_convert(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise DecodeError(f"{where}: an object was expected, got {type(value).__name__}")
        return {str(key): _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast("type[Any]", hint), value, where)
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise DecodeError(f"{where}: {hint.__name__} was expected, got {type(value).__name__}")
    return value
