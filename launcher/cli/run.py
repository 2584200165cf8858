"""launcher train, logs, exec, shell"""

from __future__ import annotations

import sys

import click

from launcher.cli.options import name_argument, pass_context, refuse_trailing, train_options, yes_option
from launcher.context import Context
from launcher.errors import UsageError
from launcher.interrupt import Interrupted


@click.command()
@name_argument
@train_options
@yes_option
@pass_context
def train(context: Context, /, **options: object) -> int:
    """Check the machine, then train CIFAR-10; trainer arguments follow `--`.

    \b
    launcher train -- --model simple --epochs 4 --data cifar10.npz
    """
    from launcher.request import make_request
    from launcher.train import train as run_train

    named = options["name"]
    request = make_request(context, **{**options, "name": None} if named else options)
    return run_train(context, request, context.trailing or (), str(named) if named else None)


@click.command()
@name_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@click.option("-n", "--lines", type=click.IntRange(min=1), default=100, show_default=True)
@pass_context
def logs(context: Context, name: str | None, follow: bool, lines: int) -> None:
    """Print an environment's log."""
    refuse_trailing(context, "logs")
    from launcher.lifecycle import find, require_container

    environment = require_container(find(context, name))
    if not follow:
        click.echo(context.engine.logs(environment.engine_name, lines), nl=False)
        return
    try:
        for chunk in context.engine.follow_logs(environment.engine_name, lines):
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
    except Interrupted as interruption:
        # The usual way to end it: nothing to tell.
        raise click.exceptions.Exit(interruption.code) from None


@click.command(name="exec")
@name_argument
@pass_context
def execute(context: Context, name: str | None) -> int:
    """Run a command in an environment: launcher exec NAME -- CMD..."""
    if not context.trailing:
        raise UsageError("no command was given", "Put it after --, for example: launcher exec NAME -- nvidia-smi")
    return _run(context, name, context.trailing)


@click.command()
@name_argument
@pass_context
def shell(context: Context, name: str | None) -> int:
    """Open a shell in an environment."""
    refuse_trailing(context, "shell")
    return _run(context, name, ("/opt/gpu-launcher/bin/login-shell",))


def _run(context: Context, name: str | None, command: tuple[str, ...]) -> int:
    from launcher.lifecycle import find, require_running
    from launcher.terminal import run_in

    return run_in(context, require_running(find(context, name)).engine_name, command)
