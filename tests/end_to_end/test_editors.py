"""What VS Code Remote-SSH and JetBrains Gateway do on a machine, step by step, by the real OpenSSH client.

The editors themselves are simulated: their servers are stand-ins of a few lines.
Sources: https://code.visualstudio.com/docs/remote/troubleshooting, https://www.jetbrains.com/help/idea/remote-development-a.html
"""

from __future__ import annotations

import base64
import io
import secrets
import shlex
import socket
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import RunLauncher
from tests.end_to_end.environment import Started, project_of, ssh
from tests.services import free_port
from tests.waiting import DEADLINE_SECONDS

pytestmark = pytest.mark.usefixtures("ssh_image")
COMMIT = secrets.token_hex(20)
SERVER = """#!/bin/sh
exec python -c 'if True:
    import http.server, socketserver
    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200); self.end_headers(); self.wfile.write(b"a server of the editor")
    with socketserver.TCPServer(("127.0.0.1", 0), Server) as server:
        print("listeningOn==%d==" % server.server_address[1], flush=True)
        server.serve_forever()
'
"""
# What is looked for and done by the script that VS Code sends to the shell: nothing is on the command line.
INSTALL = f"""set -e
for tool in tar wget curl flock; do command -v $tool > /dev/null || {{ echo "missing==$tool=="; exit 1; }}; done
[ "$(getconf LONG_BIT)" = 64 ]
dir=~/.vscode-server/bin/{COMMIT}
mkdir -p $dir
exec 9> ~/.vscode-server/lock
flock -n 9
if [ ! -x $dir/server ]; then base64 -d <<'END' | tar xz -C $dir
@PAYLOAD@
END
echo "unpacked=="; fi
exec 9>&-
: > $dir/log
$dir/server >> $dir/log 2>&1 < /dev/null &
for i in $(seq {DEADLINE_SECONDS * 10:.0f}); do grep -q listeningOn $dir/log && break; sleep 0.1; done
grep -o 'listeningOn==[0-9]*==' $dir/log
echo "uname==$(uname -s)=="
"""


def install_script() -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("server")
        entry.size, entry.mode = len(SERVER), 0o755
        archive.addfile(entry, io.BytesIO(SERVER.encode()))
    return INSTALL.replace("@PAYLOAD@", base64.encodebytes(buffer.getvalue()).decode().strip())


@contextmanager
def session(started: Started, script: str) -> Iterator[tuple[int, dict[str, str]]]:
    """`ssh -T -D PORT NAME` with a script on standard input, kept open; gives the port and what was `said==`."""
    port = free_port()
    command, *rest = shlex.split(started.result["ssh"]["command"])
    options = ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={DEADLINE_SECONDS:.0f}")
    argv = [command, "-T", "-D", str(port), *options, *rest]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(script)
        process.stdin.flush()
        said: dict[str, str] = {}
        for line in process.stdout:
            key, _, value = line.strip().partition("==")
            said[key] = value.removesuffix("==")
            if key in ("uname", "missing"):
                break
        yield port, said
    finally:
        process.kill()
        errors = process.stderr.read() if process.stderr else ""
        process.wait()
    assert errors == "", errors


def through_socks(port: int, target: int) -> bytes:
    """A page from the container's loopback through the tunnel's SOCKS 5 end: RFC 1928."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS) as connection:
        connection.sendall(b"\x05\x01\x00")
        assert connection.recv(2) == b"\x05\x00"
        name = b"localhost"
        connection.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + target.to_bytes(2, "big"))
        assert connection.recv(10)[:2] == b"\x05\x00", "the server refuses the channel"
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
        return answer


def test_vs_codes_sequence_and_its_server_outlives_the_container(
    up: Callable[..., Started], run_launcher: RunLauncher, tmp_path: Path
) -> None:
    project = project_of(tmp_path / "project", 1234)
    started = up("ssh", project=project)
    with session(started, install_script()) as (port, said):
        assert said["uname"] == "Linux" and "unpacked" in said
        assert through_socks(port, int(said["listeningOn"])).endswith(b"a server of the editor")
    assert run_launcher("down", started.name).code == 0
    again = up("ssh", project=project, name=started.name)
    with session(again, install_script()) as (port, said):
        assert "unpacked" not in said, "a server that is there is not installed again"
        assert through_socks(port, int(said["listeningOn"])).endswith(b"a server of the editor")


def test_jetbrains_gateways_needs(up: Callable[..., Started], run_launcher: RunLauncher, tmp_path: Path) -> None:
    """sftp for the upload, an exec channel for the start, and a backend that is still there after a recreation."""
    project = project_of(tmp_path / "project", 1234)
    started = up("ssh", project=project)
    backend = tmp_path / "backend"
    backend.write_text("#!/bin/sh\necho a backend, Java $1\n")
    backend.chmod(0o755)
    place = ".cache/JetBrains/RemoteDev/dist"
    assert ssh(started, f"mkdir -p {place}").returncode == 0
    _, *rest = shlex.split(started.result["ssh"]["command"])
    sftp = ["sftp", "-q", "-b", "-", *rest]
    done = subprocess.run(sftp, input=f"put -p {backend} {place}/backend\nls {place}\n", capture_output=True, text=True)
    assert done.returncode == 0 and f"{place}/backend" in done.stdout, done.stderr
    assert ssh(started, f"{place}/backend 17").stdout == "a backend, Java 17\n"
    assert run_launcher("down", started.name).code == 0
    again = up("ssh", project=project, name=started.name)
    assert ssh(again, f"{place}/backend 17").stdout == "a backend, Java 17\n"


def test_scp_rsync_and_restart(up: Callable[..., Started], run_launcher: RunLauncher, tmp_path: Path) -> None:
    """All by the configuration that `up` wrote; a restart in between changes nothing for them."""
    project = project_of(tmp_path / "project", 1234)
    started = up("ssh", project=project)
    source = tmp_path / "a file"
    source.write_bytes(bytes(range(256)) * 400)
    _, *rest = shlex.split(started.result["ssh"]["command"])
    options, name = rest[:-1], rest[-1]
    done = subprocess.run(["scp", "-q", *options, str(source), f"{name}:one"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert run_launcher("restart", started.name).code == 0
    shell = shlex.join(["ssh", *options])
    done = subprocess.run(["rsync", "-e", shell, f"{name}:one", str(tmp_path / "back")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
