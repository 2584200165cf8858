"""Which code runs on which card."""

from __future__ import annotations

import pytest

from envcheck.checks.architectures import supports


@pytest.mark.parametrize(
    ("flags", "capability", "runs"),
    [
        (("sm_86",), "8.0", False),
        (("sm_80",), "8.6", True),
        (("sm_80",), "9.0", False),
        (("sm_90a",), "9.0", True),
        (("sm_100a",), "10.3", False),
        (("sm_100f",), "10.3", True),
        (("compute_90",), "12.0", True),
        (("compute_90",), "8.9", False),
        (("compute_90",), "9.0", True),
        (("sm_90a",), "9.1", False),
        (("nonsense", "sm_90"), "9.0", True),
        (("7.0", "12.0"), "12.1", True),
        (("sm_101",), "10.1", True),
        (("nonsense",), "9.0", False),
    ],
)
def test_binary_compatibility_of_architectures(flags: tuple[str, ...], capability: str, runs: bool) -> None:
    assert supports(flags, capability) is runs
