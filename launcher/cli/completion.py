"""launcher completion: the shells' scripts, and what they ask for at every TAB."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import click
from click.shell_completion import CompletionItem, ShellComplete

from launcher.cli.options import pass_context, refuse_trailing
from launcher.context import Context

VARIABLE = "_LAUNCHER_COMPLETE"
# One answer a line, its fields parted by tabs: kind (plain, dir, file), value, help. The program that is completed is
# asked itself, so that a clone's bin/launcher works without being on PATH.
BASH = r"""_launcher_completion() {
    local IFS=$'\n' kind value words
    words="${COMP_WORDS[*]}"
    COMPREPLY=()
    while IFS=$'\t' read -r kind value _; do
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
        esac
    done < <(_LAUNCHER_COMPLETE=bash _LAUNCHER_WORDS="$words" _LAUNCHER_PLACE=$COMP_CWORD "${1/#\~/$HOME}" 2> /dev/null)
}
complete -o nosort -F _launcher_completion launcher
"""
ZSH = r"""#compdef launcher
_launcher_completion() {
    local kind value help line program=${words[1]/#\~/$HOME}
    local -a described
    for line in "${(@f)$(_LAUNCHER_COMPLETE=zsh _LAUNCHER_WORDS="${(F)words}" _LAUNCHER_PLACE=$((CURRENT - 1)) \
        $program 2> /dev/null)}"; do
        IFS=$'\t' read -r kind value help <<< "$line"
        case $kind in
            plain) described+=("${value//:/\\:}:$help") ;;
            dir) _path_files -/ ;;
            file) _path_files ;;
        esac
    done
    (( ! $#described )) || _describe launcher described
}
compdef _launcher_completion launcher
"""
FISH = r"""function _launcher_completion
    set -l words (commandline -opc) (commandline -ct)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    for line in (env _LAUNCHER_COMPLETE=fish _LAUNCHER_WORDS=(string join \n -- $words | string collect) \
        _LAUNCHER_PLACE=(math (count $words) - 1) $program 2> /dev/null)
        set -l field (string split \t -- $line)
        switch $field[1]
            case plain
                printf '%s\t%s\n' $field[2] $field[3]
            case dir
                __fish_complete_directories (commandline -ct)
            case file
                __fish_complete_path (commandline -ct)
        end
    end
end
complete --no-files --command launcher --arguments '(_launcher_completion)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


class Answer(ShellComplete):
    """Reads the words that the scripts above send, and answers in their format."""

    name = "launcher"

    def get_completion_args(self) -> tuple[list[str], str]:
        words = os.environ.get("_LAUNCHER_WORDS", "").split("\n")
        place = int(os.environ.get("_LAUNCHER_PLACE", "0"))
        return [word.strip("'\"") for word in words[1:place]], words[place] if place < len(words) else ""

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type}\t{item.value}\t{(item.help or '').splitlines()[0] if item.help else ''}"


def answer(application: click.Command) -> None:
    """Print what may follow the words in the environment; nothing when anything goes wrong."""
    with suppress(Exception):
        asked = Answer(application, {"obj": Context()}, "launcher", VARIABLE)
        words, _ = asked.get_completion_args()
        sys.stdout.write("file\t\t\n" if "--" in words else asked.complete() + "\n")
        sys.stdout.flush()


@click.command()
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
@pass_context
def completion(context: Context, shell: str) -> None:
    """Print the script by which a shell completes verbs, options and environment names.

    \b
    source <(launcher completion bash)        in ~/.bashrc
    source <(launcher completion zsh)         in ~/.zshrc, after compinit
    launcher completion fish | source         in ~/.config/fish/config.fish

    Exit codes: 0 printed, 2 another shell.
    """
    refuse_trailing(context, "completion")
    click.echo(SCRIPTS[shell], nl=False)
