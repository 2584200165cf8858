"""What a sync says, and what it makes of `up`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from launcher.context import Context
from launcher.environments import Environment
from launcher.errors import ConflictError, LauncherError
from launcher.render import one_line, readable_bytes
from launcher.sync.ignore import FILE
from launcher.sync.judge import UNREADABLE
from launcher.sync.run import CHANGED, Outcome, Wish, synchronise

SHOWN = 10


def bring_up_to_date(context: Context, environment: Environment) -> None:
    """For `up`: what could not be sent is said and does not make the environment less usable."""
    name = environment.name
    try:
        outcome = synchronise(context, environment, Wish())
    except LauncherError as error:
        error.cause = f"{name} runs, without all of the project's files: {error.cause}"
        error.next_step = f"{error.next_step.rstrip('.')}; then: launcher sync {name}"
        raise
    for line in lines(name, Wish(), outcome):
        context.progress.say(line)
    if left := failure(name, Wish(), outcome):
        context.progress.say(f"  next: {left.next_step}")


def lines(name: str, wish: Wish, outcome: Outcome) -> list[str]:
    """As a user reads it, the number of files first."""
    done = "Would bring" if wish.dry_run else "Brought"
    where = f"from {name}" if wish.fetch else f"to {name}"
    shown = [f"{done} {len(outcome.files)} file(s) {where} ({readable_bytes(outcome.bytes)})"]
    if wish.dry_run:
        shown += _some("", outcome.files)
    shown += _some("would be deleted: " if wish.dry_run else "deleted: ", outcome.deleted)
    shown += _reasons("not copied", outcome.left_out) + _reasons("left alone", outcome.conflicts)
    if outcome.gone and not wish.delete:
        side = "inside" if wish.fetch else "here"
        shown.append(f"{len(outcome.gone)} file(s) were deleted {side} and stay on the other side: --delete")
    return shown


def failure(name: str, wish: Wish, outcome: Outcome) -> LauncherError | None:
    """ConflictError for a run that left changes alone, with the ways out; another where something was unreadable."""
    unread = [path for path, why in outcome.left_out.items() if why == UNREADABLE]
    if unread and not outcome.conflicts:
        return LauncherError(
            f"{len(unread)} path(s) cannot be read and were not copied; {unread[0]} first",
            f"Make them readable, or name them in {FILE}.",
        )
    if not outcome.conflicts:
        return None
    first = min(outcome.conflicts, key=lambda path: outcome.conflicts[path] != CHANGED)
    back, own = ("", " --fetch") if wish.fetch else (" --fetch", "")
    step = (
        f"Replace {'yours' if wish.fetch else 'those inside'}: launcher sync{own} --force {name}; "
        f"the other way round: launcher sync{back} --force {name}"
    )
    if outcome.conflicts[first] != CHANGED:
        step = "Correct that on one of the sides, then run this again."
    return ConflictError(f"{len(outcome.conflicts)} file(s) were left alone; {first}: {outcome.conflicts[first]}", step)


def outcome_json(name: str, wish: Wish, outcome: Outcome) -> dict[str, Any]:
    """The object of `sync --json`; paths are relative to the project."""
    return {
        "name": name,
        "direction": "fetch" if wish.fetch else "send",
        "dry_run": wish.dry_run,
        "files": outcome.files,
        "bytes": outcome.bytes,
        "deleted": outcome.deleted,
        "gone": outcome.gone,
        "left_out": outcome.left_out,
        "conflicts": outcome.conflicts,
    }


def _reasons(title: str, found: Mapping[str, str]) -> list[str]:
    return _some(f"{title}: ", [f"{path} ({why})" for path, why in found.items()])


def _some(title: str, texts: Sequence[str]) -> list[str]:
    more = [f"  and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else []
    return [f"  {title}{one_line(text)}" for text in texts[:SHOWN]] + more
