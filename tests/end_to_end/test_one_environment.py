"""One environment everywhere: by exec, ssh, login shell and VS Code's terminal; by exec, kernel and its terminal."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess

import pytest

from tests.conftest import RunLauncher
from tests.end_to_end.environment import Started, Up, ssh
from tests.end_to_end.jupyter_session import JupyterSession
from tests.waiting import DEADLINE_SECONDS, eventually

GIVEN = {
    "WITH_SPACES": "  two  spaces ",
    "WITH_QUOTES": """it's "quoted" 'twice'""",
    "WITH_DOLLARS": "$HOME ${PATH} $(id) `id` $$",
    "WITH_BACKSLASHES": "a\\b\\\\n \\",
    "WITH_NEWLINES": "one\ntwo\n\nfour\n",
    "WITH_UTF8": "größer 日本 🙂",
    "WITH_EQUALS": "a=b==c",
    "WITH_SIGNS": "# no comment; & | > < * ? [a] ~ !x %s {1,2}\t.",
    "EMPTY": "",
    "LD_PRELOAD": "",
    "BASH_ENV_LIKE": "() { :; }; echo no",
}
HOST = {"HTTPS_PROXY": "http://user:p%40ss@proxy.example:3128/", "no_proxy": "localhost,127.0.0.1,.example"}
# The few that may differ, and why. Everything else is equal, and everything of exec is everywhere.
MAY_DIFFER = {
    "SHLVL": "counts the shells",
    "_": "bash's last command",
    "PWD|OLDPWD": "where that way in begins: /workspace, the home, or the server's directory",
    "TERM|COLUMNS|LINES|PYXTERM_DIMENSIONS": "a terminal's own",
    "SSH_(CLIENT|CONNECTION|TTY)": "what sshd tells of the connection",
    "JPY_.*|JUPYTER_TOKEN_FILE|JUPYTER_SERVER_(ROOT|URL)": "what JupyterLab tells its kernels and terminals of itself",
    "LS_COLORS|LESSOPEN|LESSCLOSE": "~/.bashrc, the user's own file, in an interactive shell",
    "PYDEVD_.*|CLICOLOR(_FORCE)?|FORCE_COLOR|(GIT_)?PAGER|MPLBACKEND": "ipykernel, for output in a notebook",
}
DUMP = "import json, os; print(json.dumps(dict(os.environ)))"


def differences(reference: dict[str, str], found: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """Name -> value there and here, of what must not differ."""
    allowed = re.compile("|".join(MAY_DIFFER))
    return {
        name: (reference.get(name), found.get(name))
        for name in reference.keys() | found.keys()
        if reference.get(name) != found.get(name) and not allowed.fullmatch(name)
    }


def unequal(reference: dict[str, str], found: dict[str, dict[str, str]]) -> dict[str, object]:
    """Way in -> its differences, where there are any."""
    compared = {way: differences(reference, variables) for way, variables in found.items()}
    return {way: names for way, names in compared.items() if names}


def started_with(up: Up, mode: str, monkeypatch: pytest.MonkeyPatch) -> Started:
    for name, value in HOST.items():
        monkeypatch.setenv(name, value)
    started = up(mode, *(part for name, value in GIVEN.items() for part in ("-e", f"{name}={value}")))
    program = f"import os, sys\n{DUMP.replace('print(', 'text = (')}\n"
    program += "temporary = sys.argv[1] + '.new'\nopen(temporary, 'w').write(text)\nos.rename(temporary, sys.argv[1])\n"
    (started.project / "dump.py").write_text(program)
    return started


def dump(name: str) -> str:
    """A command that writes its variables into the project."""
    return f"python /workspace/dump.py /workspace/{name}.json"


def dumped(started: Started, name: str) -> dict[str, str]:
    file = started.project / f"{name}.json"
    assert eventually(file.exists), name
    found: dict[str, str] = json.loads(file.read_text())
    return found


def by_exec(started: Started, run_launcher: RunLauncher) -> dict[str, str]:
    done = run_launcher("exec", started.name, "--", "python", "-c", DUMP)
    assert done.code == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    assert {name: found.get(name) for name in (*GIVEN, *HOST)} == GIVEN | HOST
    assert found["PATH"].startswith(found["VIRTUAL_ENV"] + "/bin:") and found["NVIDIA_VISIBLE_DEVICES"] == "void"
    return found


def ssh_session(started: Started, *arguments: str, script: str) -> None:
    """`ssh HOST ARGUMENTS` with a script as its input, and a client that sends its own locale."""
    argv = shlex.split(started.result["ssh"]["command"])
    argv[1:1] = ["-o", "BatchMode=yes", "-o", "SendEnv=LANG LC_*", "-tt" if not arguments else "-T"]
    foreign = os.environ | {"LANG": "de_DE.UTF-8", "LC_TIME": "de_DE.UTF-8"}
    done = subprocess.run(
        [*argv, *arguments], input=script, env=foreign, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    assert done.returncode == 0, done.stderr


def test_over_exec_ssh_login_shell_and_vs_code(
    up: Up, run_launcher: RunLauncher, ssh_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VS Code starts its server by `bash` reading a script, and its terminals are that server's children."""
    started = started_with(up, "ssh", monkeypatch)
    reference = by_exec(started, run_launcher)
    assert ssh(started, dump("command")).returncode == 0
    ssh_session(started, script=f"{dump('login')}\nexit\n")
    server = f"{dump('server')}\nbash -ic '{dump('terminal')}'\nbash -lic '{dump('login-terminal')}'\n"
    ssh_session(started, "bash", script=server)
    found = {way: dumped(started, way) for way in ("command", "login", "server", "terminal", "login-terminal")}
    assert unequal(reference, found) == {}


def test_over_exec_kernel_and_jupyterlabs_terminal(
    up: Up, run_launcher: RunLauncher, jupyter_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = started_with(up, "jupyter", monkeypatch)
    reference = by_exec(started, run_launcher)
    session = JupyterSession.of(started)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    kernel = json.loads(session.run_cell(DUMP))
    with session.terminal() as terminal:
        terminal.send(json.dumps(["stdin", f"{dump('terminal')}\r"]))
        found = {"kernel": kernel, "terminal": dumped(started, "terminal")}
    assert unequal(reference, found) == {}
