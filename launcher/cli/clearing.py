"""launcher prune, uninstall"""

from __future__ import annotations

import click

from launcher.cli.options import json_option, pass_context, refuse_trailing, yes_option
from launcher.context import Context
from launcher.errors import LauncherError


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--cache", is_flag=True, help="Also BuildKit's cache, whoever's builds filled it.")
@click.option("--all", "everyone", is_flag=True, help="Also what other users left (root only).")
@json_option
@yes_option
@pass_context
def prune(context: Context, dry_run: bool, cache: bool, everyone: bool) -> int:
    """Remove what nothing needs any more, after showing it with sizes: old images, ended runs, stray networks.

    \b
    launcher prune --dry-run
    launcher prune --yes

    Homes of environments that are down, data and what runs are never touched.
    Exit codes: 0 done or nothing to do, 1 something could not be removed, 2 nobody agreed, 3 no engine.
    """
    refuse_trailing(context, "prune")
    from launcher.consent import ask
    from launcher.prune import freed_bytes
    from launcher.pruning import find_removable, remove_items
    from launcher.render import items_text, print_json, readable_bytes

    items = find_removable(context, everyone, cache)
    freed = freed_bytes(items)
    refused = []
    if not context.json or not (dry_run or context.consent):
        context.progress.say(items_text(items, freed))
    if items and not dry_run:
        ask(context, "Remove these?", "launcher prune --yes")
        refused = remove_items(context, items)
    if context.json:
        left = [{**item.to_json(), "reason": reason} for item, reason in refused]
        rows = [item.to_json() for item in items]
        print_json({"items": rows, "bytes": freed, "removed": not dry_run, "refused": left})
        return LauncherError.code if refused else 0
    if refused:
        item, reason = refused[0]
        raise LauncherError(
            f"{len(refused)} of {len(items)} could not be removed; {item.kind} {item.name}: {reason}",
            "Correct that, then run this again.",
        )
    if items and not dry_run:
        context.progress.say(f"Removed; at least {readable_bytes(freed)} are free again")
    return 0


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also delete your environments with their volumes.")
@yes_option
@pass_context
def uninstall(context: Context, everything: bool) -> None:
    """Remove what the launcher put on this machine; project directories are never touched.

    \b
    launcher uninstall
    launcher uninstall --all --yes      with all environments, whose volumes are named first

    These are: the Include line in ~/.ssh/config, the state directory, the launcher's virtual environments.
    Exit codes: 0 removed, 2 nobody agreed, 3 the engine does not answer, 4 environments exist.
    """
    refuse_trailing(context, "uninstall")
    from launcher.consent import ask
    from launcher.render import sized_volumes
    from launcher.uninstall import perform, plan_uninstallation

    plan = plan_uninstallation(context, everything)
    context.progress.say("\n".join(["This will be removed:", *plan.lines(), *sized_volumes(plan.volumes)]))
    ask(context, "Remove it?", f"launcher uninstall {'--all ' if everything else ''}--yes")
    perform(context, plan)
    stays = ["Removed. What stays, and how it would go:", *(f"  {line}" for line in plan.stays)]
    context.progress.say("\n".join(stays) if plan.stays else "Removed.")
