"""A long command's lines arrive as they come, and nothing of it outlives an interruption."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from launcher.setup.stream import run_streaming
from tests.waiting import has_ended, wait_until


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


def test_lines_of_both_streams_and_the_exit_code() -> None:
    heard: list[str | None] = []
    done = run_streaming(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(4)"), heard.append)
    assert sorted(line for line in heard if line) == ["err", "out"]
    assert (done.code, done.stalled) == (4, False)
    assert sorted(done.tail) == ["err", "out"]


def test_a_silent_command_ticks(tmp_path: Path) -> None:
    ticked = tmp_path / "ticked"
    code = f"import os, time\nwhile not os.path.exists({str(ticked)!r}): time.sleep(0.01)"
    run_streaming(python(code), lambda line: ticked.touch() if line is None else None)
    assert ticked.exists()


def test_a_stalled_command_is_ended() -> None:
    done = run_streaming(python("import time; time.sleep(60)"), lambda _line: None, stall_seconds=0.5)
    assert done.stalled and done.code != 0


def test_an_interruption_ends_the_whole_group(tmp_path: Path) -> None:
    """Ctrl-C is simulated by the line handler raising KeyboardInterrupt; the child has a child of its own."""
    pid = tmp_path / "pid"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\n"
        "print('ready'); time.sleep(60)\n"
    )

    def interrupt(line: str | None) -> None:
        if line == "ready":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_streaming(python(code), interrupt)
    wait_until(lambda: has_ended(int(pid.read_text())), "the end of what it started")
