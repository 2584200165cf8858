"""The lines that a program writes (see children/emitter.py), taken in as they arrive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


class Records:
    """`stages` are the values by stage; `place` is the stage that is `open`, or names the one that ended last."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, Any]] = {}
        self.place, self.open = "start", False
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[str | None]:
        """Take in a piece of output; yields the stage that each complete line begins, None for one that ends one."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if not isinstance(record, dict):
                continue
            if "begin" in record:
                self.place, self.open = str(record["begin"]), True
                yield self.place
            elif "stage" in record:
                self.stages[str(record["stage"])] = record["values"]
                self.place, self.open = f"after {record['stage']}", False
                yield None
