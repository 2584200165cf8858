"""`sync`: what changed on one side goes to the other; what changed on both is named and left."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tarfile import BLOCKSIZE
from typing import Any

from launcher import labels
from launcher.context import Context
from launcher.copying import container_user
from launcher.environments import Environment
from launcher.errors import NotReadyError, UsageError
from launcher.interrupt import Interrupted
from launcher.lifecycle import require_running
from launcher.plan import workspace_volume
from launcher.sync import inside
from launcher.sync.ignore import read_patterns
from launcher.sync.inside import Entry
from launcher.sync.judge import Plan, judge
from launcher.sync.record import Record
from launcher.sync.staging import Placed, Staging
from launcher.transfer import Meter

CHANGED = "it changed on both sides"
# What an interrupted run sends again at most, unless one file is larger.
BATCH_BYTES, BATCH_FILES = 256 << 20, 2000


@dataclass(frozen=True, slots=True)
class Wish:
    """`fetch` brings changes here; `force` lets the source win conflicts; `delete` also deletes what it has deleted."""

    fetch: bool = False
    force: bool = False
    delete: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class Outcome:
    """Paths that were brought over and deleted, and those that were not, with the reason; `gone` could be deleted."""

    files: list[str] = field(default_factory=list)
    bytes: int = 0
    deleted: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    conflicts: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def synchronise(context: Context, environment: Environment, wish: Wish) -> Outcome:
    """Raises UsageError for an environment that has no copy, NotReadyError where one side is not there."""
    if not environment.synced:
        raise UsageError(
            f"{environment.name} sees {environment.project} itself: there is nothing to copy",
            "A copy is made by: launcher up --sync",
        )
    require_running(environment)
    project = Path(environment.project)
    if not project.is_dir():
        raise NotReadyError(
            f"the project {project} is not on this machine", "Run this where it is, or copy by hand: launcher cp"
        )
    with context.state.lock(f"sync-{environment.engine_name}", f"another sync of {environment.name} is running"):
        return _Run(context, environment, project, wish).perform()


class _Run:
    """One direction, from a look at both sides to the record of what is alike now."""

    def __init__(self, context: Context, environment: Environment, project: Path, wish: Wish) -> None:
        patterns = read_patterns(project)
        user = container_user(context, environment)
        self.name, self.wish, self.project, self.context = environment.name, wish, project, context
        self.staging = Staging(context, environment.engine_name, project, user, patterns)
        volume = workspace_volume(environment.owner, environment.name)
        found = [v for v in context.engine.volumes(f"{labels.NAME}={environment.name}") if v.name == volume]
        self.record = Record(context.state, found[0], project).load()
        self.here, self.there = inside.entries(str(project), patterns), self.staging.entries()
        self.source, self.target = (self.there, self.here) if wish.fetch else (self.here, self.there)
        self.outcome = Outcome()

    def perform(self) -> Outcome:
        base = self.record.files
        plan = judge(self.source, self.target, {p: both[::-1] for p, both in base.items()} if self.wish.fetch else base)
        self._settle_unsure(plan)
        if self.wish.force:
            plan.files = sorted([*plan.files, *plan.conflicts])
            plan.conflicts = []
        self.outcome.left_out = plan.left_out
        self.outcome.conflicts = dict.fromkeys(plan.conflicts, CHANGED)
        self.outcome.conflicts |= plan.impossible
        self.outcome.gone = plan.gone
        if self.wish.dry_run:
            self.outcome.files, self.outcome.bytes = plan.files, self._bytes(plan.files)
            self.outcome.deleted = plan.gone if self.wish.delete else []
        else:
            self._perform(plan)
        return self.outcome

    def _settle_unsure(self, plan: Plan) -> None:
        if not plan.unsure:
            return
        there = self.staging.digests(plan.unsure)
        for path in plan.unsure:
            ours = inside.digest(str(self.project / path))
            if ours is not None and ours == there[path]:
                self.record.files[path] = (self.here[path], self.there[path])
            else:
                plan.conflicts.append(path)
        if not self.wish.dry_run:
            self.record.save()

    def _perform(self, plan: Plan) -> None:
        self._arrange(plan)
        # An archive gives each file a block for its name, and whole blocks: with small ones that is most of it.
        blocks = sum(1 - (-self.source[path].size // BLOCKSIZE) for path in plan.files)
        meter = Meter(self.context.progress, "", blocks * BLOCKSIZE)
        try:
            for batch in self._batches(plan.files):
                done = len(self.outcome.files)
                meter.title = f"{self._verb} {self.name}, from file {done + 1} of {len(plan.files)}"
                self._transfer(batch, meter)
                self.record.save()
        except Interrupted:
            done, go_on = len(self.outcome.files), f"launcher sync {'--fetch ' if self.wish.fetch else ''}{self.name}"
            self.context.progress.say(f"{done} of {len(plan.files)} files are over, each whole; go on by: {go_on}")
            raise

    @property
    def _verb(self) -> str:
        return "Fetching from" if self.wish.fetch else "Sending to"

    def _arrange(self, plan: Plan) -> None:
        """Directories first, and what is to be deleted."""
        gone = plan.gone if self.wish.delete else []
        request = {"directories": plan.directories, "files": [[None, path, self.target[path]] for path in gone]}
        if not (plan.directories or gone):
            return
        if self.wish.fetch:
            placed, refused = inside.place(str(self.project), "", request)
            if owner := self.staging.owner_here:
                for path in set(plan.directories) - set(refused):
                    os.chown(self.project / path, *owner)
        else:
            placed, refused = self.staging.place(request, Meter(self.context.progress, ""))
        for path in placed:
            del self.record.files[path]
        self.outcome.deleted, self.outcome.gone = list(placed), [path for path in plan.gone if path not in placed]
        self.outcome.conflicts |= refused
        self.record.save()

    def _batches(self, paths: Sequence[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        size = 0
        for path in paths:
            size += self.source[path].size
            if batch and (len(batch) >= BATCH_FILES or size > BATCH_BYTES):
                yield batch
                batch, size = [], self.source[path].size
            batch.append(path)
        if batch:
            yield batch

    def _bytes(self, paths: Sequence[str]) -> int:
        return sum(self.source[path].size for path in paths)

    def _transfer(self, batch: Sequence[str], meter: Meter) -> None:
        request: dict[str, Any] = {"directories": []}
        request["files"] = [[number, path, self.target.get(path)] for number, path in enumerate(batch)]
        placed: Placed
        if self.wish.fetch:
            rows, placed = self.staging.fetch(request, meter)
            was: dict[str, Entry | None] = dict(zip(batch, rows, strict=True))
        else:
            placed = self.staging.place(request, meter)
            was = {path: self.source[path] for path in batch}
        for path, now in placed[0].items():
            before = was[path]
            if now and before:
                self.record.files[path] = (now, before) if self.wish.fetch else (before, now)
        self.outcome.files += placed[0]
        self.outcome.bytes += self._bytes(list(placed[0]))
        missed = [path for path in batch if path not in placed[0]]
        self.outcome.conflicts |= {path: placed[1].get(path, "it was changed meanwhile") for path in missed}
