"""What the NVIDIA driver wrote into the kernel's log since boot.

Read from /dev/kmsg, else by dmesg, else from the journal, which members of the groups adm and systemd-journal may read.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import replace
from pathlib import Path

from envcheck.facts_health import KernelLog, Xid
from envcheck.probes.paths import below
from envcheck.probes.programs import Runner

# One record of /dev/kmsg: https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg
RECORD = re.compile(r"^\d+,\d+,(?P<microseconds>\d+),[^;]*;(?P<text>.*)$")
# dmesg and `journalctl -o short-monotonic` put seconds since boot in brackets.
BRACKETED = re.compile(r"^\[\s*(?P<seconds>\d+\.\d+)\]\s*(?P<text>.*)$")
XID = re.compile(r"NVRM: Xid \((?:PCI:)?(?P<pci>[0-9a-fA-F:.]+)\): (?P<number>\d+)(?:, (?P<text>.*))?$")
# The process at fault is nobody's business but the user's.
PROCESS = re.compile(r"pid='?[^,]*,\s*(?:name=[^,]*,\s*)?")
# Lines that determine a cause; they begin at the driver's or the kernel's own words, without host name and time.
TELLING = re.compile(
    r"(?:NVRM: (?:API mismatch|.*open kernel modules|.*RmInitAdapter failed|.*fallen off the bus)"
    r"|Loading of (?:unsigned )?module.*(?:reject|restricted)|Lockdown: .*unsigned module loading is restricted"
    r"|nvidia[-_]uvm: .*request_free_mem_region"
    r").*"
)
KEPT_XIDS = 64
KEPT_LINES = 40
CHUNK = 1 << 16
JOURNAL = ("journalctl", "--dmesg", "--boot", "--no-pager", "--quiet", "--output=short-monotonic")


def probe_kernel_log(root: Path, runner: Runner, *, cards: bool = True) -> KernelLog:
    """The first source that may be read; `error` has the reason of each where none may. Without `cards` none is."""
    if not cards:
        return KernelLog(error="no card is visible on the PCI bus")
    reasons = []
    try:
        return parse_kernel_log(_device(below(root, "/dev/kmsg")), "/dev/kmsg")
    except OSError as error:
        reasons.append(f"/dev/kmsg: {error.strerror or error}")
    for argv in (("dmesg",), JOURNAL):
        ran = runner(argv)
        # A journal without the kernel's lines was not shown; a kernel's log is never empty.
        if ran.returncode == 0 and ran.stdout.strip():
            return parse_kernel_log(ran.stdout, argv[0])
        reasons.append(ran.error.splitlines()[0] if ran.error else f"{argv[0]} shows nothing")
    return KernelLog(error="; ".join(reasons))


def _device(path: Path) -> str:
    """Every record there is now. Reading on would wait for the next one."""
    chunks = []
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                chunk = os.read(descriptor, CHUNK)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.EPIPE:  # the record was overwritten meanwhile; the next one can be read
                    continue
                raise
            if not chunk:
                break
            chunks.append(chunk)
    finally:
        os.close(descriptor)
    return b"".join(chunks).decode("utf-8", "replace")


def parse_kernel_log(text: str, source: str) -> KernelLog:
    """Pure: the driver's lines out of a whole log, in any of the three forms."""
    xids: dict[tuple[str, int], Xid] = {}
    lines: dict[str, None] = {}
    for line in text.splitlines():
        seconds, message = _split(line)
        xid = XID.search(message)
        if xid is not None:
            _count(xids, xid, seconds)
            continue
        told = TELLING.search(message)
        if told is not None:
            lines[told.group(0).strip()] = None
    return KernelLog(source, None, tuple(xids.values())[-KEPT_XIDS:], tuple(lines)[-KEPT_LINES:])


def _split(line: str) -> tuple[float | None, str]:
    record = RECORD.match(line)
    if record is not None:
        return int(record["microseconds"]) / 1e6, record["text"]
    bracketed = BRACKETED.match(line)
    return (float(bracketed["seconds"]), bracketed["text"]) if bracketed is not None else (None, line)


def _count(xids: dict[tuple[str, int], Xid], match: re.Match[str], seconds: float | None) -> None:
    number, pci = int(match["number"]), match["pci"].lower()
    text = PROCESS.sub("", match["text"] or "").strip()
    earlier = xids.pop((pci, number), None)
    newest = Xid(number, pci, 1, text, seconds)
    xids[(pci, number)] = replace(newest, count=earlier.count + 1) if earlier is not None else newest
