"""The runner over real processes: small programs that report, hang, abort or raise as they are told by their stages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from envcheck.gputests.runner import Outcome, Program, run_programs
from tests.waiting import DEADLINE_SECONDS, eventually, has_ended

ROOT = Path(__file__).parents[4]
# `hang N` (with a helper process), `wait N`, `abort N`, `raise N`, `quiet N`; any other reports its process.
TOLD = """
import os, signal, subprocess, sys
sys.path.append(sys.argv[1])
from envcheck.gputests.programs.harness import die_with_parent, run_stage
from envcheck.probes.children.emitter import Emitter

die_with_parent()
emitter = Emitter()
print("not a record")

def act(stage):
    if stage.startswith("hang"):
        helper = subprocess.Popen(["sleep", "1000"])
        print(f"helper {helper.pid}", file=sys.stderr, flush=True)
        signal.pause()
    if stage.startswith("wait"):
        signal.pause()
    if stage.startswith("abort"):
        sys.stderr.write("last words")
        sys.stderr.flush()
        os.abort()
    if stage.startswith("raise"):
        print("why it failed")
        raise ValueError("told to")
    if stage.startswith("quiet"):
        os._exit(0)
    return {"process": os.getpid()}

for stage in sys.argv[2:]:
    if not run_stage(emitter, stage, lambda: act(stage)):
        break
"""


def program(*stages: str, name: str = "p", seconds: float = DEADLINE_SECONDS) -> Program:
    command = (sys.executable, "-c", textwrap.dedent(TOLD), str(ROOT))
    return Program(name, command, stages, {"": DEADLINE_SECONDS, "hang": seconds})


def run(*stages: str, seconds: float = 3.0) -> Outcome:
    return run_programs([program(*stages, seconds=seconds)], os.environ, lambda *_: None)[0]


def gone(process: int) -> bool:
    """Whether the process comes to its end."""
    return eventually(lambda: has_ended(process), 0.02)


def test_stages_that_pass_share_one_process() -> None:
    outcome = run("a", "b")
    assert len({outcome.stages[stage]["process"] for stage in ("a", "b")}) == 1
    assert outcome.crashes == ()


@pytest.mark.parametrize("bad", ["hang 1", "abort 1", "raise 1"])
def test_what_comes_after_a_bad_stage_runs_in_a_process_of_its_own(bad: str) -> None:
    outcome = run("a", bad, "b")
    assert outcome.stages["a"]["process"] != outcome.stages["b"]["process"]


def test_a_hang_is_ended_with_all_it_started_and_named() -> None:
    outcome = run("hang 1", "b")
    crash = outcome.crash("hang 1")
    assert crash is not None and crash.timed_out and "b" in outcome.stages
    assert gone(int(crash.stderr.split()[-1]))


def test_an_abort_is_named_by_its_signal_with_the_last_words() -> None:
    crash = run("a", "abort 1").crash("abort 1")
    assert crash is not None
    assert (crash.signal, crash.timed_out, crash.stderr.split("\n")[-1]) == ("SIGABRT", False, "last words")


def test_an_error_keeps_what_was_written_meanwhile() -> None:
    outcome = run("raise 1", "a")
    assert outcome.stages["raise 1"]["error"] == "ValueError: told to"
    assert "why it failed" in outcome.words


def test_after_two_hangs_the_rest_is_left() -> None:
    outcome = run("hang 1", "a", "hang 2", "b")
    assert (set(outcome.stages), len(outcome.crashes)) == ({"a"}, 2)


def test_a_program_that_ends_without_a_word_is_not_started_for_ever() -> None:
    assert set(run("quiet 1", "a").stages) == {"a"}


def test_a_program_that_cannot_be_started_is_a_crash_at_its_start() -> None:
    missing = Program("p", ("/nonexistent/python",), ("a",), {"": 30.0})
    outcome = run_programs([missing], os.environ, lambda *_: None)[0]
    assert [crash.stage for crash in outcome.crashes] == ["start"]


def test_programs_run_side_by_side_and_each_begin_is_heard(tmp_path: Path) -> None:
    # Each waits for the other: one after the other they would wait for ever.
    os.mkfifo(tmp_path / "fifo")
    report = (
        "import json; print(json.dumps({'begin': 's'})); open(%r, %r).close(); print('{\"stage\":\"s\",\"values\":{}}')"
    )
    halves = [
        Program(mode, (sys.executable, "-c", report % (str(tmp_path / "fifo"), mode)), ("s",), {"": DEADLINE_SECONDS})
        for mode in ("r", "w")
    ]
    heard: list[tuple[str, str]] = []
    outcomes = run_programs(halves, os.environ, lambda name, stage: heard.append((name, stage)))
    assert [outcome.stages for outcome in outcomes] == [{"s": {}}, {"s": {}}]
    assert sorted(heard) == [("r", "s"), ("w", "s")]


def own_children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_a_begin_is_heard_from_a_program_that_ended_before_it_was_read(tmp_path: Path) -> None:
    # The second one begins and ends while the runner is busy telling of the first.
    heard: list[tuple[str, str]] = []
    go, others = tmp_path / "go", own_children()
    first = "import json; print(json.dumps({'begin': 's'})); print('{\"stage\":\"s\",\"values\":{}}')"
    second = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n" + first
    programs = [
        Program(name, (sys.executable, "-c", text), ("s",), {"": DEADLINE_SECONDS})
        for name, text in (("1", first), ("2", second))
    ]

    def observe(name: str, stage: str) -> None:
        heard.append((name, stage))
        if name == "1":
            processes = own_children() - others
            go.touch()
            assert all(gone(process) for process in processes)

    run_programs(programs, os.environ, observe)
    assert heard == [("1", "s"), ("2", "s")]


def test_an_interrupt_leaves_no_process_behind() -> None:
    others, pids = own_children(), set()

    def interrupt(_: str, stage: str) -> None:
        if stage == "hang 1":
            pids.update(own_children() - others)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_programs([program("hang 1", seconds=100)], os.environ, interrupt)
    assert pids and all(gone(pid) for pid in pids)


def test_a_program_ends_when_envcheck_is_killed_outright() -> None:
    parent = (
        "import os, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.unit.envcheck.gpu.test_runner import program\n"
        "from envcheck.gputests.runner import run_programs\n"
        "run_programs([program('a', 'wait 1')], os.environ, lambda *said: print(*said, flush=True))\n"
    )
    started = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert [started.stdout.readline().strip() for _ in range(2)] == ["p a", "p wait 1"]
    children = subprocess.run(["pgrep", "-P", str(started.pid)], capture_output=True, text=True, check=True).stdout
    started.send_signal(signal.SIGKILL)
    started.wait()
    started.stdout.close()
    assert all(gone(int(child)) for child in children.split())
