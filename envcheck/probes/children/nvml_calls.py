# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Calls into libnvidia-ml by ctypes. What a driver lacks or a card does not answer is a reason, never an error."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

TEXT_LENGTH = 96


class NotReadError(Exception):
    """The value cannot be read here; the message says why."""


def call(library: Any, function: str, *arguments: Any) -> None:
    """Call `function`. Raises NotReadError where this driver has no such function or it does not succeed."""
    found: Callable[..., int] | None = getattr(library, function, None)
    if found is None:
        raise NotReadError(f"this driver's NVML has no {function}")
    code = found(*arguments)
    if code != 0:
        raise NotReadError(f"{function} returned {code}")


def numbers(library: Any, function: str, *kinds: Any, before: Any = ()) -> list[int]:
    """What `function` writes into its last arguments. Raises NotReadError."""
    values = [kind(0) for kind in kinds]
    call(library, function, *before, *[ctypes.byref(value) for value in values])
    return [int(value.value) for value in values]


def number(library: Any, function: str, handle: Any, kind: Any = ctypes.c_uint) -> int:
    """One number about the device. Raises NotReadError."""
    return numbers(library, function, kind, before=(handle,))[0]


def text(library: Any, function: str, *before: Any) -> str:
    """What `function` writes into a text buffer. Raises NotReadError."""
    buffer = ctypes.create_string_buffer(TEXT_LENGTH)
    call(library, function, *before, buffer, ctypes.c_uint(TEXT_LENGTH))
    return buffer.value.decode("utf-8", "replace")


def read(values: dict[str, Any], unread: dict[str, str], name: str, reading: Callable[[], Any]) -> None:
    """Put the reading under `name`, None and its reason into `unread` where there is none."""
    try:
        values[name] = reading()
    except NotReadError as error:
        values[name] = None
        unread[name] = str(error)
