"""BuildKit's plain output becomes short lines: a new step at once, a long one every ten seconds."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest

from launcher.progress import Progress
from launcher.setup.build_progress import BuildProgress, describe


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def view(clock: Clock, stream: io.StringIO) -> BuildProgress:
    return BuildProgress(Progress(stream), "Building x", clock)


def test_a_silent_download_does_not_look_frozen(view: BuildProgress, clock: Clock, stream: io.StringIO) -> None:
    view.line('#9 [base 1/6] RUN --mount=type=cache,target=/x     sh /build/python-install "/locks/a.txt"')
    view.line("#9 1.00 Downloading torch (846.0MiB)")
    view.line("#9 1.10 Downloading triton (154.0MiB)")
    view.line("#9 9.10  Downloaded triton")
    for clock.now in range(1, 25):
        view.line(None)
    assert stream.getvalue().splitlines() == [
        "Building x: base 1/6: installing Python packages, 0 s",
        "Building x: base 1/6: installing Python packages (154 of 1000 MiB downloaded), 10 s",
        "Building x: base 1/6: installing Python packages (154 of 1000 MiB downloaded), 20 s",
    ]


def test_a_new_step_is_shown_at_once(view: BuildProgress, stream: io.StringIO) -> None:
    view.line("#4 [root 2/2] RUN sh /build/apt-install bookworm gcc")
    view.line("#4 DONE 3.0s")
    view.line("#5 [jupyter 3/6] COPY envcheck/ /opt/gpu-launcher/envcheck/")
    view.line("#6 exporting to image")
    assert [line.split(": ", 1)[1] for line in stream.getvalue().splitlines()] == [
        "root 2/2: installing Debian packages, 0 s",
        "jupyter 3/6: COPY envcheck/ /opt/gpu-launcher/envcheck/, 0 s",
        "writing the image, 0 s",
    ]


def test_mount_options_are_left_out_of_a_step() -> None:
    assert (
        describe("base", "5/6", "RUN --mount=type=bind,source=a,target=b     sh /build/lay-out")
        == "base 5/6: RUN sh /build/lay-out"
    )


def test_podmans_steps_and_downloads_are_shown_too(view: BuildProgress, stream: io.StringIO) -> None:
    view.line('[2/6] STEP 3/10: RUN --mount=type=cache,target=/x     sh /build/python-install "/locks/a.txt"')
    view.line("Downloading torch (846.0MiB)")
    view.line("--> 0123456789ab")
    view.line("STEP 2/8: USER 0:0")
    assert stream.getvalue().splitlines() == [
        "Building x: 3/10: installing Python packages, 0 s",
        "Building x: 2/8: USER 0:0, 0 s",
    ]
    assert view.sizes == {"torch": 846.0}
