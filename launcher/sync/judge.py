"""Pure: what must go from one side to the other, and what must not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from posixpath import dirname, join, normpath

from launcher.sync.inside import Entry

Side = Mapping[str, Entry]
# Path -> what it was on either side when both had the same.
Base = Mapping[str, tuple[Entry, Entry]]
COPIED = ("file", "link")
KINDS = {
    "file": "a file",
    "directory": "a directory",
    "link": "a link",
    "other": "no file",
    "unreadable": "not readable",
}
UNREADABLE = "it cannot be read"


@dataclass(slots=True)
class Plan:
    """Paths, sorted. `unsure` have the same size on both sides: only their bytes tell.

    `conflicts` changed on both sides, `gone` were deleted at the source and are as they were at the target. With the
    reason: `impossible`, as the target has something else there, and `left_out`.
    """

    directories: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    impossible: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def judge(source: Side, target: Side, base: Base) -> Plan:
    """What to do so that `target` gets what changed at `source` since `base`, and loses nothing of its own."""
    plan = Plan()
    for path in sorted(source):
        entry, there = source[path], target.get(path)
        why = _left_out(path, entry)
        if why:
            plan.left_out[path] = why
        elif above := [p for p in _parents(path) if p in target and target[p].kind != "directory"]:
            plan.impossible[path] = f"on the other side {above[-1]} is {KINDS[target[above[-1]].kind]}"
        elif entry.kind == "directory" or (there and there.kind not in COPIED):
            if there is None:
                plan.directories.append(path)
            elif there.kind != entry.kind:
                plan.impossible[path] = f"on the other side it is {KINDS[there.kind]}"
        else:
            _judge_file(plan, path, (entry, there), base.get(path))
    for path in sorted(base):
        if path not in source and target.get(path) == base[path][1] and not _blocked(path, source):
            plan.gone.append(path)
    return plan


def _judge_file(plan: Plan, path: str, now: tuple[Entry, Entry | None], then: tuple[Entry, Entry] | None) -> None:
    entry, there = now
    if then is not None and entry == then[0]:
        return
    if there is None or (then is not None and there == then[1]):
        plan.files.append(path)
    elif entry.kind == there.kind == "file" and entry.size == there.size:
        plan.unsure.append(path)
    elif entry != there:
        plan.conflicts.append(path)


def _left_out(path: str, entry: Entry) -> str:
    if entry.kind == "unreadable":
        return UNREADABLE
    if entry.kind == "other":
        return "it is no file"
    if entry.kind == "link" and leads_outside(path, entry.target):
        return "the link leads out of the project"
    return ""


def leads_outside(path: str, target: str) -> bool:
    """True for a link that is absolute, leaves the project, or could do so through another link (`..` after a name)."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    climbs = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    leaves = normpath(join(dirname(path), target)).split("/")[0] == ".."
    return target.startswith("/") or ".." in parts[climbs:] or leaves


def _parents(path: str) -> Iterator[str]:
    while path := dirname(path):
        yield path


def _blocked(path: str, side: Side) -> bool:
    """Below a directory that cannot be read nothing is known, and nothing counts as deleted."""
    return any(side[p].kind == "unreadable" for p in _parents(path) if p in side)
