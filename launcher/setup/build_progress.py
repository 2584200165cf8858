"""BuildKit's plain progress, or Podman's, turned into short lines: which step, how far, for how long."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from launcher.progress import Progress

STEP = re.compile(r"^#(\d+) \[(?:([\w-]+) +)?(?:(\d+/\d+)|[^\]]*)\] (.+)$")
OUTPUT = re.compile(r"^#(\d+) (?:\d+\.\d+ )?(.+)$")
PODMAN_STEP = re.compile(r"^(?:\[\d+/\d+\] )?STEP (\d+/\d+): (.+)$")
ENDED = re.compile(r"^#(\d+) (?:DONE|CACHED|ERROR|CANCELED)\b")
DOWNLOAD = re.compile(r"^Downloading (\S+) \(([\d.]+)(KiB|MiB|GiB)\)")
DOWNLOADED = re.compile(r"^Downloaded (\S+)|^ Downloaded (\S+)")
MIB = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}
REPEAT_SECONDS = 10.0
WORDS = (
    ("python-install", "installing Python packages"),
    ("pip-install", "installing Python packages"),
    ("apt-install", "installing Debian packages"),
    ("verify_stack", "checking the installed stack"),
    ("exporting", "writing the image"),
)


@dataclass(slots=True)
class BuildProgress:
    """Feed it the builder's lines; it reports a change of step at once and the same step every ten seconds."""

    progress: Progress
    title: str
    clock: Callable[[], float] = time.monotonic
    steps: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    arrived: set[str] = field(default_factory=set)
    current: str = "starting"
    started: float = 0.0
    shown: float = float("-inf")
    last: str = ""

    def __post_init__(self) -> None:
        self.started = self.clock()

    def line(self, text: str | None) -> None:
        """Take one line, or None for a second without one."""
        if text is not None:
            self._read(text)
        now = self.clock()
        state = self._state()
        if self.current != self.last or now - self.shown >= REPEAT_SECONDS:
            self.progress.update(f"{self.title}: {state}, {now - self.started:.0f} s")
            self.shown, self.last = now, self.current

    def _read(self, text: str) -> None:
        if match := STEP.match(text):
            number, stage, position, instruction = match.groups()
            self.steps[number] = self.current = describe(stage, position, instruction)
        elif ENDED.match(text):
            return
        elif match := OUTPUT.match(text):
            number, output = match.groups()
            self.current = self.steps.get(number, "writing the image" if "exporting" in output else self.current)
            self._read_output(output)
        elif match := PODMAN_STEP.match(text):
            self.current = describe(None, *match.groups())
        else:
            self._read_output(text)

    def _read_output(self, output: str) -> None:
        if match := DOWNLOAD.match(output):
            self.sizes[match.group(1)] = float(match.group(2)) * MIB[match.group(3)]
        elif match := DOWNLOADED.match(output):
            self.arrived.add(match.group(1) or match.group(2))

    def _state(self) -> str:
        if not self.sizes or "Python packages" not in self.current:
            return self.current
        have = sum(size for name, size in self.sizes.items() if name in self.arrived)
        return f"{self.current} ({have:.0f} of {sum(self.sizes.values()):.0f} MiB downloaded)"


def describe(stage: str | None, position: str | None, instruction: str) -> str:
    """`base 2/6: installing Python packages` from a step's head."""
    words = next((words for mark, words in WORDS if mark in instruction), None)
    if words is None:
        words = re.sub(r"\s+", " ", re.sub(r"--mount=\S+ ?", "", instruction))[:60]
    place = " ".join(part for part in (stage, position) if part)
    return f"{place}: {words}" if place else words
