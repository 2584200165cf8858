"""What is kept of the time that steps took."""

from __future__ import annotations

import io

from launcher.progress import Progress


def test_a_step_that_is_tried_again_is_listed_once_with_its_whole_time() -> None:
    progress = Progress(io.StringIO())
    for name in ("create", "start", "create"):
        with progress.phase(name):
            pass
        before = {phase.name: phase.seconds for phase in progress.phases}
    assert [phase.name for phase in progress.phases] == ["create", "start"]
    assert before["create"] > 0
