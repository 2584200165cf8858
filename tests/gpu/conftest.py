"""A real NVIDIA GPU: without one these tests are skipped, and counted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envcheck.collect import collect
from envcheck.facts import Facts
from envcheck.presence import presence
from envcheck.probes.torch import find_python
from tests.conftest import lacking


@pytest.fixture(scope="session")
def gpu() -> Facts:
    """What this machine, which has a GPU that CUDA can use, looks like. A card that CUDA cannot use is a failure."""
    facts = collect(Path("/"), torch=False)
    expected = presence(facts)
    if not expected.expected:
        pytest.skip(f"no GPU on this machine ({expected.reason})")
    if not facts.cuda.device_count:
        lacking("there is an NVIDIA card, and CUDA sees no GPU: run bin/envcheck")
    return facts


@pytest.fixture(scope="session")
def python_with_torch() -> str:
    """The Python whose PyTorch the proofs use."""
    python, searched = find_python(os.environ)
    if python is None:
        pytest.skip(f"no Python with PyTorch in {', '.join(searched)}: set ENVCHECK_PYTHON to one")
    return python
