"""What is said of a container that ends or never answers while it is waited for (simulated: the engine)."""

from __future__ import annotations

import pytest

from launcher.engine import Container
from launcher.errors import LauncherError, NotReadyError, TimedOutError
from launcher.ready import wait_until_usable
from tests.contract.fake_engine import FakeEngine

SHADOWED = "Could not load symbol cudnnGetProperty. Error: /usr/lib/libcudnn_graph.so.9: undefined symbol: x\nAborted\n"


def waited(engine: FakeEngine, deadline: float = 120.0) -> LauncherError:
    with pytest.raises(LauncherError) as caught:
        wait_until_usable(engine, "demo", lambda: False, deadline)
    return caught.value


@pytest.mark.parametrize(
    ("container", "said"),
    [
        (Container("1", "demo", "exited", exit_code=134), "stopped with exit code 134"),
        (Container("1", "demo", "exited", exit_code=137, oom_killed=True), "ran out of memory"),
        (Container("1", "demo", "running", restarts=2), "stopped with exit code 0"),
        (None, "was removed"),
    ],
)
def test_a_container_that_ended_is_not_waited_for_until_the_deadline(
    engine: FakeEngine, container: Container | None, said: str
) -> None:
    engine.rows = {"demo": container} if container else {}
    error = waited(engine)
    assert isinstance(error, NotReadyError) and said in error.cause
    assert (error.log, error.cause_id) == ("log of demo\n", None)


def test_what_its_log_shows_is_named_with_its_fix(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.rows = {"demo": Container("1", "demo", "exited", exit_code=134)}
    monkeypatch.setattr(engine, "logs", lambda name, lines: SHADOWED)
    error = waited(engine)
    assert error.cause_id == "cudnn-shadowed" and "LD_LIBRARY_PATH" in error.next_step
    assert error.log == SHADOWED


def test_one_that_never_answers_times_out_with_its_log(engine: FakeEngine) -> None:
    engine.rows = {"demo": Container("1", "demo", "running")}
    error = waited(engine, deadline=0.0)
    assert isinstance(error, TimedOutError) and error.log == "log of demo\n"
