"""`uninstall`: what the launcher put outside projects and the engine's environments, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from launcher import labels, lifecycle
from launcher.access.ssh import SshAccess
from launcher.context import Context
from launcher.engine import Volume
from launcher.environments import Environment, list_environments
from launcher.errors import ConflictError
from launcher.own_files import cache_directory, checkout_files, remove_path
from launcher.remote.tunnel import close_all
from launcher.setup.probe import EngineState, ask_engine

SHELL_FILES = (".bashrc", ".bash_profile", ".profile", ".zshrc", ".config/fish/config.fish")


@dataclass(frozen=True, slots=True)
class Uninstallation:
    """What goes, and what stays and by which command it would go."""

    environments: tuple[Environment, ...]
    volumes: tuple[Volume, ...]
    paths: tuple[Path, ...]
    include: Path | None
    stays: tuple[str, ...]

    def lines(self) -> list[str]:
        """One thing a line; volumes are named with sizes by the caller."""
        found = [f"  environment {e.name} ({e.state})" for e in self.environments]
        found += [f"  the Include line in {self.include}"] if self.include else []
        return found + [f"  {path}" for path in self.paths]


def plan_uninstallation(context: Context, with_environments: bool) -> Uninstallation:
    """Raises ConflictError, naming them, while environments exist and are not to go too."""
    engine_is_there = ask_engine(context.endpoint.url).state is not EngineState.ABSENT
    # An engine that is there but does not answer is an error: what it holds cannot be known.
    environments = list_environments(context.engine, context.owner) if engine_is_there else []
    if environments and not with_environments:
        names = ", ".join(e.name for e in environments)
        raise ConflictError(
            f"you still have environments: {names}", "Delete them (launcher rm NAME), or: launcher uninstall --all"
        )
    volumes = context.engine.volumes(f"{labels.OWNER}={context.owner}", sizes=True) if engine_is_there else []
    goes = [v for v in volumes if _goes(v, environments)]
    stays = [f"docker volume rm {v.name}" for v in volumes if v not in goes]
    stays += [f"docker image rm {names}" for names in _images(context)] if engine_is_there else []
    access = SshAccess(context.state, context.home)
    paths = [context.state.directory, cache_directory(context.environ), *checkout_files(_own(context.checkout))]
    return Uninstallation(
        tuple(environments),
        tuple(goes),
        tuple(path for path in paths if path.exists()),
        access.config if access.is_included() else None,
        (*stays, *(f"the line with `launcher completion` in {path}" for path in shell_hints(context.home))),
    )


def _goes(volume: Volume, environments: Sequence[Environment]) -> bool:
    """As after `rm` of each environment."""
    if lifecycle.is_shared(volume):
        return lifecycle.is_disposable(volume)
    return volume.labels.get(labels.NAME) in {e.name for e in environments}


def _images(context: Context) -> list[str]:
    found = context.engine.stored_images(labels.IMAGE_SOURCE)
    return [" ".join(image.references) for image in found if image.references]


def _own(checkout: Path | None) -> Path | None:
    return checkout if checkout is not None and checkout.stat().st_uid == os.getuid() else None


def shell_hints(home: Path) -> list[Path]:
    """Start-up files of shells that load the completion script: edited by hand, so taken out by hand."""
    found = []
    for name in SHELL_FILES:
        with suppress(OSError, UnicodeDecodeError):
            if "launcher completion" in (home / name).read_text():
                found.append(home / name)
    return found


def perform(context: Context, plan: Uninstallation) -> None:
    """Environments first: while one cannot be removed, the launcher is needed."""
    for environment in plan.environments:
        lifecycle.remove(context, environment, [])
    for volume in plan.volumes:
        context.engine.remove_volume(volume.name)
    # Those to other machines' engines, whose environments are not this uninstallation's to remove.
    close_all(context.state)
    if plan.include is not None:
        SshAccess(context.state, context.home).exclude()
    # The checkout's own environment last: this program runs from it.
    for path in plan.paths:
        remove_path(path)
