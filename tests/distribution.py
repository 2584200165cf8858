"""Which tests one worker runs when a full run goes in parallel: https://pytest-xdist.readthedocs.io/en/stable/how-to.html"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling

# Each shares an engine's state, or compares it before and after.
PRIVATE_ENGINE = (
    "test_engine_restart.py",
    "test_gpu_holders.py",
    "test_gpu_rule.py",
    "test_gpu_use.py",
    "test_heal.py",
    "test_prune.py",
)
TOGETHER = ("browser", "end_to_end", "faults", "podman", "remote")


def group(nodeid: str) -> str:
    """Tests of one group never run at the same time."""
    path = PurePosixPath(nodeid.split("::")[0])
    if path.name in PRIVATE_ENGINE:
        return "private engine"
    return path.parent.name if path.parent.name in TOGETHER else str(path)


@pytest.hookimpl(optionalhook=True)  # xdist is not in the image
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """xdist's own groups are lost with pytest 9.2, whose node ids cannot be extended: by path instead."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return ByGroup(config, log)
