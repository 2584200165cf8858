"""The program: argv in, exit code out; every failure ends here in two lines."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from typing import NoReturn

import click

from launcher import __version__
from launcher.cli import (
    access,
    build,
    bundle,
    check,
    clearing,
    completion,
    files,
    gpus,
    heal,
    listing,
    machine,
    run,
    settings,
    stopping,
    sync,
)
from launcher.cli import up as up_verb
from launcher.cli.streams import discard_output, flush_or_discard, open_closed_streams
from launcher.context import Context
from launcher.errors import LauncherError, NotReadyError, UsageError
from launcher.interrupt import Interrupted, ignore_signals, raise_on_signals
from launcher.render import report_error

DEBUG = "--debug"
INTERRUPTED_CODES = (129, 130, 143)


class VerbGroup(click.Group):
    """Lists the verbs in the order of a first day, and suggests one for a typing error."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            close = get_close_matches(args[0], self.commands, n=1, cutoff=0.5)
            raise UsageError(
                f"there is no command {args[0]!r}",
                f"Did you mean: launcher {close[0]}" if close else "See: launcher --help",
            )
        return super().resolve_command(ctx, args)


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="launcher")
def application() -> None:
    """PyTorch environments in containers, with the GPU passed through.

    \b
    launcher up --mode jupyter    JupyterLab, one URL
    launcher up --mode ssh        for VS Code Remote-SSH: `ssh NAME`
    launcher train                the bundled CIFAR-10 training run

    Add --debug to any command for the traceback of a failure.
    Exit codes: 0 ok, 1 failed, 2 usage, 3 environment not ready, 4 conflict, 5 timed out.
    """


for command in (
    up_verb.up,
    run.train,
    listing.ls,
    listing.status,
    gpus.gpus,
    access.url,
    access.code,
    check.check,
    heal.heal,
    run.logs,
    run.execute,
    run.shell,
    files.cp,
    sync.sync,
    stopping.stop,
    stopping.start,
    stopping.restart,
    stopping.down,
    stopping.rm,
    settings.config,
    settings.init,
    machine.setup,
    build.build,
    bundle.bundle,
    clearing.prune,
    clearing.uninstall,
    completion.completion,
    machine.version,
):
    application.add_command(command)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the documented code."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    own, trailing = split_at_separator(argv)
    debug = DEBUG in own
    open_closed_streams()
    if completion.VARIABLE in os.environ:
        completion.answer(application)
        sys.exit(0)
    context = Context(trailing=trailing)
    raise_on_signals()
    own = [argument for argument in own if argument != DEBUG]
    code = _guarded(lambda: _invoke(own, context), context, "--json" in own, debug)
    if code in INTERRUPTED_CODES:
        # A request that a signal cut short may have left a lock that the interpreter's own clearing waits for.
        flush_or_discard()
        os._exit(code)
    sys.exit(code)


def _invoke(arguments: list[str], context: Context) -> object:
    # Not application.main: it turns a broken pipe into exit code 1.
    try:
        with application.make_context("launcher", arguments, obj=context) as entered:
            return application.invoke(entered)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0


def split_at_separator(argv: list[str]) -> tuple[list[str], tuple[str, ...] | None]:
    """Everything before the first `--`, and what follows it (None without one)."""
    if "--" not in argv:
        return argv, None
    index = argv.index("--")
    return argv[:index], tuple(argv[index + 1 :])


def _guarded(command: Callable[[], object], context: Context, as_json: bool, debug: bool) -> int:
    try:
        result = command()
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as finished:
        return finished.exit_code
    except Interrupted as interruption:
        ignore_signals()
        context.progress.say(f"launcher: stopped by {interruption.signal.name}; nothing half-made was left")
        return interruption.code
    except BrokenPipeError:
        # The reader has gone (launcher ls | head): not a failure, and nothing more can be printed.
        discard_output()
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        code = report_error(_failure(error), as_json)
        flush_or_discard()
        return code


def _failure(error: Exception) -> LauncherError:
    if isinstance(error, LauncherError):
        return error
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, OSError):
        # It may be stdout that has no room.
        discard_output()
        where = f": {error.filename}" if error.filename else ""
        return NotReadyError(
            f"the system refused with {error.strerror or error}{where}",
            "Correct that and run this again; --debug shows where it happened.",
        )
    return LauncherError(
        f"unexpected {type(error).__name__}: {error}",
        "This is a bug: run again with --debug and report what it prints.",
    )


def _usage(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "launcher"
    return UsageError(" ".join(error.format_message().split()), f"See: {path} --help")
