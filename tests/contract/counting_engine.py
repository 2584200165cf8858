"""An engine that counts what is asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.contract.fake_engine import FakeEngine


class CountingEngine:
    """Passes every call on to `engine` and counts it by its verb."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.calls: Counter[str] = Counter()

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        method = getattr(self.engine, verb)

        def counted(*arguments: Any, **options: Any) -> Any:
            self.calls[verb] += 1
            return method(*arguments, **options)

        return counted
