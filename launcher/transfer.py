"""How far a long transfer is: bytes, and the time left where the whole is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from launcher.progress import Progress
from launcher.render import readable_bytes

# Short transfers say nothing. On a pipe each line stays, so there are fewer.
FIRST_SECONDS = 2.0
SCREEN_SECONDS = 0.5
PIPE_SECONDS = 10.0


@dataclass(slots=True)
class Meter:
    """Counts what passes through and reports it now and then; `whole` is the expected number of bytes, 0 unknown."""

    progress: Progress
    title: str
    whole: int = 0
    clock: Callable[[], float] = time.monotonic
    passed: int = 0
    _started: float = field(default=0.0, init=False)
    _shown: float = field(default=0.0, init=False)

    def measure(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks, counted."""
        for chunk in chunks:
            if not self.passed:
                # From the first byte: what came before is not the transfer's speed.
                self._started = self.clock()
                self._shown = self._started + FIRST_SECONDS - self._interval
            yield chunk
            self.passed += len(chunk)
            self._report()

    @property
    def _interval(self) -> float:
        return SCREEN_SECONDS if self.progress.on_terminal else PIPE_SECONDS

    def _report(self) -> None:
        now = self.clock()
        if now - self._shown >= self._interval:
            self._shown = now
            self.progress.update(f"{self.title}: {self.text(now - self._started)}")

    def text(self, elapsed: float) -> str:
        """Such as `1.2 GB of about 8.0 GB, 35 s left`."""
        if not self.whole or not self.passed:
            return f"{readable_bytes(self.passed)}, {elapsed:.0f} s"
        left = max(self.whole - self.passed, 0) * elapsed / self.passed
        return f"{readable_bytes(self.passed)} of about {readable_bytes(self.whole)}, {left:.0f} s left"
