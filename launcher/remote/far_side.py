"""What the engine's machine says of itself over ssh: who we are there, its sockets, card, ports and paths.

The questions are POSIX sh scripts on the standard input of `sh -s`: the login shell there may be any.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

WHO_AND_WHERE = r"""
printf 'uid %s\n' "$(id -u)"; printf 'gid %s\n' "$(id -g)"; printf 'groups %s\n' "$(id -G)"
printf 'name %s\n' "$(uname -n)"; printf 'home %s\n' "$HOME"
runtime=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
current=${DOCKER_HOST:-}
[ -n "$current" ] || current=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null) || current=
case $current in unix://*) current=${current#unix://} ;; *) current= ;; esac
for socket in "$current" /var/run/docker.sock "$runtime/docker.sock" "$HOME/.docker/desktop/docker.sock" \
    "$HOME/.docker/run/docker.sock" "$runtime/podman/podman.sock" /run/podman/podman.sock; do
    [ -n "$socket" ] && [ -S "$socket" ] || continue
    if [ -r "$socket" ] && [ -w "$socket" ]; then printf 'usable %s\n' "$socket"
    else printf 'refused %s\n' "$socket"; fi
done
for device in /sys/bus/pci/devices/*; do
    case $(cat "$device/vendor" "$device/class" 2>/dev/null | tr '\n' ' ') in
        '0x10de 0x03'*) printf 'card %s\n' "${device##*/}" ;;
    esac
done
for path in /proc/driver/nvidia /dev/nvidiactl /dev/dxg; do [ -e "$path" ] && printf 'card %s\n' "$path"; done
exit 0
"""
LISTENERS = "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; exit 0"
LISTEN = "0A"  # https://docs.kernel.org/networking/proc_net_tcp.html


@dataclass(frozen=True, slots=True)
class FarSide:
    """`usable` and `refused` are engines' sockets, the preferred first; `card` is what shows an NVIDIA card."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str
    usable: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    card: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FarPath:
    """A path there with every symlink followed; `kind` is directory, file or missing."""

    given: str
    kind: str
    resolved: str
    uid: int = 0
    gid: int = 0


def parse_far_side(text: str) -> FarSide | None:
    """Read what WHO_AND_WHERE prints; None where something else answered (a login message, no POSIX shell)."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    try:
        return FarSide(
            uid=int(found["uid"][0]),
            gid=int(found["gid"][0]),
            groups=tuple(sorted({int(word) for word in found["groups"][0].split()} - {int(found["gid"][0])})),
            name=found["name"][0],
            home=found["home"][0],
            usable=tuple(dict.fromkeys(found.get("usable", ()))),
            refused=tuple(dict.fromkeys(found.get("refused", ()))),
            card=tuple(found.get("card", ())),
        )
    except (KeyError, IndexError, ValueError):
        return None


def listening_ports(text: str) -> set[int]:
    """The TCP ports that something listens on, from LISTENERS' output; empty where the machine has no /proc."""
    rows = (line.split() for line in text.splitlines())
    return {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == LISTEN}


def paths_script(paths: Sequence[str]) -> str:
    """A script that prints kind, owner and resolved name of each path, in four lines each."""
    words = " ".join(shlex.quote(path) for path in paths)
    return (
        f"for path in {words}; do\n"
        '    case $path in "~") path=$HOME ;; "~/"*) path=$HOME/${path#"~/"} ;; esac\n'
        '    if [ -d "$path" ]; then echo directory; elif [ -e "$path" ]; then echo file; else echo missing; fi\n'
        '    stat -L -c "%u" -- "$path" 2>/dev/null || echo 0; stat -L -c "%g" -- "$path" 2>/dev/null || echo 0\n'
        '    readlink -f -- "$path" || printf "%s\\n" "$path"\n'
        "done\n"
    )


def parse_paths(paths: Sequence[str], text: str) -> tuple[FarPath, ...]:
    """Read what paths_script prints. Raises ValueError where that is something else."""
    lines = text.splitlines()
    if len(lines) != 4 * len(paths):
        raise ValueError(text)
    rows = zip(paths, lines[::4], lines[1::4], lines[2::4], lines[3::4], strict=True)
    return tuple(FarPath(given, kind, resolved, int(uid), int(gid)) for given, kind, uid, gid, resolved in rows)
