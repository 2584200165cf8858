"""The lines that a program writes (see probes/children/emitter.py), taken in as they arrive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


class Records:
    """`stages` are the values by stage; `open_stage` the one that began and did not end, or after which nothing did."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, Any]] = {}
        self.open_stage = "start"
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
                self.open_stage = str(record["begin"])
                yield self.open_stage
            elif "stage" in record:
                self.stages[str(record["stage"])] = record["values"]
                self.open_stage = f"after {record['stage']}"
                yield None
