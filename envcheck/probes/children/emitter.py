"""How a child reports: one JSON object a line, a `begin` line before every stage, so that a crash has a place."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Emitter:
    """Takes standard output for itself; whatever a library prints goes to standard error instead."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Announce the stage, run it, report its dictionary. A Python exception becomes its `error`."""
        self._write({"begin": name})
        values: dict[str, Any] = {}
        try:
            yield values
        except Exception as error:
            values["error"] = f"{type(error).__name__}: {error}"
        self._write({"stage": name, "values": values})

    def _write(self, record: dict[str, Any]) -> None:
        self._out.write(json.dumps(record) + "\n")
        self._out.flush()


def loaded_libraries(name: str) -> list[str]:
    """Real paths of the loaded files whose name contains `name`, by /proc/self/maps; none where it is hidden."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    paths = {line.split(maxsplit=5)[5].strip() for line in maps if "/" in line}
    return sorted(path for path in paths if name in Path(path).name)
