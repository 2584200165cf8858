"""The engine and everything in it killed, as by a loss of power, and started again: `ssh NAME` is trusted as before."""

from __future__ import annotations

import json
from pathlib import Path

from tests.end_to_end.machines import Launch
from tests.end_to_end.private_engine import PrivateEngine
from tests.waiting import eventually


def test_login_needs_no_question_after_the_engine_was_killed_and_restarted(
    private_engine: PrivateEngine, private_ssh_image: str, launch: Launch, tmp_path: Path
) -> None:
    started = launch("up", "power", "--mode", "ssh", "--json")
    assert started.code == 0, started.stderr
    try:
        command = json.loads(started.stdout)["ssh"]["command"].split()
        argv = [command[0], "-o", "BatchMode=yes", *command[1:]]

        def said(text: str) -> tuple[int, str, str]:
            done = private_engine.run(*argv, text)
            return done.returncode, done.stdout, done.stderr

        assert said("echo kept > ~/file && echo in") == (0, "in\n", "")
        private_engine.restart()
        # It was running, so the engine starts it again by itself.
        assert eventually(lambda: said("true")[0] == 0), said("true")
        assert said("cat ~/file") == (0, "kept\n", "")
        for step in (("restart",), ("stop",), ("start",), ("down",)):
            assert launch(*step, "power").code == 0
        again = launch("up", "power", "--mode", "ssh", "--json")
        assert json.loads(again.stdout)["ssh"] == json.loads(started.stdout)["ssh"]
        assert said("cat ~/file") == (0, "kept\n", "")
    finally:
        launch("rm", "power", "--yes")
