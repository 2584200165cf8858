"""What is shown while the proofs run, and the verdict over all of them."""

from __future__ import annotations

import io

import pytest

from envcheck.finding import Finding, Status
from envcheck.gputests.progress import CLEAR_LINE, Progress
from envcheck.gputests.prove import verdict
from envcheck.gputests.steps import Steps


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO) -> list[str]:
    progress = Progress(stream)
    progress.step("proving 2 GPUs")
    progress.stage("GPU 0", "matmul")
    progress.stage("GPU 1", "nms")
    progress.close()
    return stream.getvalue().split(CLEAR_LINE)


def test_a_terminal_has_one_line_that_is_redrawn_and_taken_away() -> None:
    assert shown(Terminal()) == ["", "proving 2 GPUs", "GPU 0: matmul", "GPU 0: matmul  GPU 1: nms", ""]


def test_a_pipe_has_a_plain_line_a_step() -> None:
    assert shown(io.StringIO()) == ["proving 2 GPUs\n"]


def test_a_stream_whose_reader_has_gone_does_not_stop_the_proofs() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    assert shown(Gone()) == [""]


def finding(status: str) -> Finding:
    return Finding("gpu-kernel", Status(status), "")


@pytest.mark.parametrize(
    ("statuses", "unreported", "expected"),
    [
        (["ok", "skip"], [], "ok"),
        (["ok", "warn"], [], "warn"),
        (["warn", "fail"], [], "fail"),
        (["ok", "skip"], ["copies: copy 1"], "fail"),
    ],
)
def test_the_verdict_is_never_ok_by_lack_of_evidence(statuses: list[str], unreported: list[str], expected: str) -> None:
    steps = Steps({}, Progress(io.StringIO()), [finding(status) for status in statuses], unreported=unreported)
    assert verdict(steps) == expected
    assert (steps.findings[-1].summary == "not every proof came to its end") == bool(unreported)
