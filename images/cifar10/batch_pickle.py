"""Parse one CIFAR-10 batch file, a Python 2 pickle, without running anything it names.

The names a batch file refers to (numpy's array, dtype and reconstruct) are answered with inert stand-ins that only keep
their arguments; any other name is refused.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIXELS = 3 * 32 * 32


class BatchError(Exception):
    """The file is no pickle of a CIFAR-10 batch."""


class _Array:
    """Stands for a numpy array: keeps the pickled state (version, shape, dtype, fortran order, bytes)."""

    state: tuple[Any, ...] = ()

    def __init__(self, *_arguments: object) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state


class _Type:
    """Stands for a numpy dtype: keeps its code, for example "u1"."""

    def __init__(self, code: object, *_flags: object) -> None:
        self.code = code.decode("ascii", "replace") if isinstance(code, bytes) else code

    def __setstate__(self, state: object) -> None:
        pass


STAND_INS: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        try:
            return STAND_INS[module, name]
        except KeyError:
            raise BatchError(f"it names {module}.{name}") from None


def parse_batch(content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels uint8 (N, 3072) and labels int64 (N,) of one batch file. Raises BatchError."""
    try:
        batch = _Reader(io.BytesIO(content), encoding="bytes").load()
    except BatchError:
        raise
    except Exception as error:  # a broken pickle raises anything: the opcodes drive arbitrary calls on our stand-ins
        raise BatchError(f"{type(error).__name__}: {error}") from error
    if not isinstance(batch, dict) or not isinstance(batch.get(b"labels"), list):
        raise BatchError("it has no list of labels")
    labels = batch[b"labels"]
    if not all(type(label) is int for label in labels):
        raise BatchError("its labels are not integers")
    return _pixels(batch.get(b"data")), np.array(labels, np.int64)


def _pixels(array: object) -> NDArray[np.uint8]:
    match getattr(array, "state", None):
        case (_, (int(rows), 3072), _Type(code="u1"), False, bytes(raw)) if len(raw) == rows * PIXELS:
            return np.frombuffer(raw, np.uint8).reshape(rows, PIXELS)
    raise BatchError("its data is not one uint8 array of shape (N, 3072)")
