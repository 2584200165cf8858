"""The kernel's log: read from each source there is, and never without its reason. Logs are invented."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from envcheck.facts import KernelLog, Xid
from envcheck.probes.kernel_log import parse_kernel_log, probe_kernel_log
from envcheck.probes.programs import Ran, Runner, no_programs, run

XID = "NVRM: Xid (PCI:0000:65:00): 79, pid=4242, name=train.py, GPU has fallen off the bus."
KMSG = f"6,1,100,-;Linux version 6.1\n SUBSYSTEM=cpu\n4,2,5500000,-;{XID}\n"
DMESG = f"[    0.000000] Linux version 6.1\n[    5.500000] {XID}\n"
JOURNAL = f"[    0.000000] myhost kernel: Linux version 6.1\n[    5.500000] myhost kernel: {XID}\n"
SEEN = Xid(79, "0000:65:00", 1, "GPU has fallen off the bus.", 5.5)


@pytest.mark.parametrize("text", [KMSG, DMESG, JOURNAL], ids=["kmsg", "dmesg", "journal"])
def test_an_xid_is_read_without_process_and_host_name(text: str) -> None:
    assert parse_kernel_log(text, "x") == KernelLog("x", None, (SEEN,))


@pytest.mark.parametrize(
    ("line", "number", "pci", "text"),
    [
        ("NVRM: Xid (0000:03:00): 14, Channel 00000001", 14, "0000:03:00", "Channel 00000001"),
        ("NVRM: Xid (PCI:0000:C1:00): 94, pid='N/A', name=N/A, Ch 00000008", 94, "0000:c1:00", "Ch 00000008"),
        (
            "NVRM: Xid (PCI:0000:01:00): 119, pid=77, Timeout waiting for RPC",
            119,
            "0000:01:00",
            "Timeout waiting for RPC",
        ),
        ("NVRM: Xid (PCI:0000:01:00): 62", 62, "0000:01:00", ""),
    ],
)
def test_the_forms_an_xid_has_had(line: str, number: int, pci: str, text: str) -> None:
    (found,) = parse_kernel_log(line, "x").xids
    assert (found.number, found.pci, found.text, found.seconds) == (number, pci, text, None)


def test_a_repeated_xid_is_counted_and_keeps_its_last_words() -> None:
    text = "\n".join(
        f"[{second}.0] NVRM: Xid (PCI:0000:01:00): 31, pid=1, name=a, Fault {second}" for second in range(3)
    )
    other = "[9.0] NVRM: Xid (PCI:0000:02:00): 31, pid=1, name=a, elsewhere"
    log = parse_kernel_log(f"{text}\n{other}\n", "x")
    assert log.xids == (Xid(31, "0000:01:00", 3, "Fault 2", 2.0), Xid(31, "0000:02:00", 1, "elsewhere", 9.0))


def test_a_flood_of_cards_keeps_the_newest() -> None:
    log = parse_kernel_log("\n".join(f"NVRM: Xid (PCI:0000:{n:02x}:00): 13, x" for n in range(100)), "x")
    assert len(log.xids) == 64 and log.xids[-1].pci == "0000:63:00"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("NVRM: API mismatch: the client has the version 550.1, but", True),
        ("NVRM: The NVIDIA GPU 0000:01:00.0 requires use of the NVIDIA open kernel modules.", True),
        ("NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:884)", True),
        ("Loading of module with unavailable key is rejected", True),
        ("nvidia-uvm: uvm_pmm_gpu.c:3200 request_free_mem_region() err -34", True),
        ("NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.54.15", False),
        ("usb 1-1: new device", False),
    ],
)
def test_only_lines_that_tell_a_cause_are_kept_and_begin_at_the_drivers_words(line: str, kept: bool) -> None:
    log = parse_kernel_log(f"[   12.000000] myhost kernel: {line}\n", "x")
    assert log.driver_lines == ((line,) if kept else ())


def answering(**answers: Ran) -> tuple[list[Sequence[str]], Runner]:
    asked: list[Sequence[str]] = []

    def runner(argv: Sequence[str]) -> Ran:
        asked.append(argv)
        return answers.get(argv[0], Ran(None, error=f"{argv[0]}: No such file or directory"))

    return asked, runner


def test_the_device_is_read_first(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kmsg").write_text(KMSG)
    asked, runner = answering()
    log = probe_kernel_log(tmp_path, runner)
    assert (log.source, log.xids, asked) == ("/dev/kmsg", (SEEN,), [])


def test_without_the_device_dmesg_is_asked(tmp_path: Path) -> None:
    _, runner = answering(dmesg=Ran(0, DMESG))
    assert probe_kernel_log(tmp_path, runner) == KernelLog("dmesg", None, (SEEN,))


def test_where_dmesg_is_refused_the_journal_of_this_boot_is_asked(tmp_path: Path) -> None:
    asked, runner = answering(dmesg=Ran(1, "", "dmesg: read kernel buffer failed"), journalctl=Ran(0, JOURNAL))
    log = probe_kernel_log(tmp_path, runner)
    assert (log.source, log.xids) == ("journalctl", (SEEN,))
    assert "--boot" in asked[1], "an Xid from before the last boot is history"


def test_where_nothing_may_be_read_every_reason_is_told(tmp_path: Path) -> None:
    # A journal that is not shown to this user is empty, with exit code 0.
    _, runner = answering(dmesg=Ran(1, "", "dmesg: Operation not permitted\nmore"), journalctl=Ran(0, "\n"))
    log = probe_kernel_log(tmp_path, runner)
    assert (log.source, log.xids) == (None, ())
    assert log.error == "/dev/kmsg: No such file or directory; dmesg: Operation not permitted; journalctl shows nothing"


def test_programs_that_fail_hang_or_are_missing_are_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["sh", "-c", "echo out; echo err >&2; exit 3"]) == Ran(3, "out\n", "err")
    assert "no-such-program" in run(["no-such-program"]).error
    monkeypatch.setattr("envcheck.probes.programs.TIMEOUT", 0.2)
    assert run(["sh", "-c", "exec cat </dev/zero >/dev/null"]).error.startswith("sh did not answer")
    assert no_programs(["dmesg"]).returncode is None
