"""launcher cp"""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from launcher.cli.options import complete_names, json_option, pass_context, refuse_trailing
from launcher.context import Context


def complete_sides(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files here, and the environments' names with the colon that makes them the other side."""
    names = complete_names(ctx, parameter, incomplete)
    return [CompletionItem(incomplete, type="file"), *(CompletionItem(f"{name}:") for name in names)]


@click.command()
@click.argument("source", shell_complete=complete_sides)
@click.argument("destination", shell_complete=complete_sides)
@json_option
@pass_context
def cp(context: Context, source: str, destination: str) -> None:
    """Copy files and directories to or from an environment, running or stopped; NAME:PATH is the path inside.

    \b
    launcher cp data.csv NAME:/workspace         into it, in the container user's name
    launcher cp NAME:runs ./results              out of it; relative paths count from /workspace
    tar c DIR | launcher cp - NAME:~             - is a tar archive on standard input or output

    Directories are merged; a file never replaces a directory. The system inside is read-only: copy to /workspace,
    the home, /cache, /data, /tmp or a mount. Exit codes: 0 copied, 2 a path is wrong, 3 it cannot be read or written.
    """
    refuse_trailing(context, "cp")
    from launcher.copying import STREAM, copy
    from launcher.render import print_json, readable_bytes

    if context.json and destination == STREAM:
        raise click.UsageError("--json and - would both use standard output")
    copied = copy(context, source, destination)
    if context.json:
        print_json({"source": source, "destination": destination, "bytes": copied})
    else:
        context.progress.say(f"Copied {source} to {destination} ({readable_bytes(copied)})")
