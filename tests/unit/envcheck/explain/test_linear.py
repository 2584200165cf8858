"""Twice the text is at most about twice the work, also where every line holds what the prefilter looks for."""

from __future__ import annotations

import io
import re

import pytest

from envcheck.explain import view
from envcheck.explain.patterns import patterns
from envcheck.explain.prefilter import Prefilter
from envcheck.explain.reading import pieces
from envcheck.explain.scan import Scanner

PREFILTER = Prefilter(patterns())
BAITS = {
    "every line a near miss": "{0} out of memory no space left on device libcudnn unknown error md5 registry\n",
    "near misses that never repeat": "{0}a{0:x} no space left on device {0:o} unknown error undefined symbol: cu 1\n",
    "one endless line": "{0} out of memory libcudnn undefined symbol: cuda ",
    "many empty lines": "\n\n\n\n",
    "white space": "out{0:400}of memory\n",
    "half messages": "could not select could not select device could not select device driv {0}\n",
    "brackets": "NVRM: Xid (((((((((((((( {0} NVRM: Xid (PCI\n",
    "the same call again": "cudaGetDeviceCount cudaGetDeviceCount CUDA error CUDA error {0}\n",
}


def work(bait: str, count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Characters that expressions were searched in."""
    looked = 0
    search, joined = view.View.search, view.View._joined

    def counting_search(self: view.View, expression: re.Pattern[str], *, wrapped: bool) -> view.Found | None:
        nonlocal looked
        looked += len(self.text)
        return search(self, expression, wrapped=wrapped)

    def counting_join(self: view.View, expression: re.Pattern[str], glue: str) -> view.Found | None:
        nonlocal looked
        looked += view.REACH
        return joined(self, expression, glue)

    text = "".join(bait.format(number) for number in range(count))
    with monkeypatch.context() as patched:
        patched.setattr(view.View, "search", counting_search)
        patched.setattr(view.View, "_joined", counting_join)
        Scanner(PREFILTER).scan(pieces(io.BytesIO(text.encode()), size=1 << 14))
    return looked


@pytest.mark.parametrize("bait", BAITS)
def test_work_grows_no_faster_than_the_text(bait: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (work(BAITS[bait], count, monkeypatch) for count in (3000, 6000))
    assert large <= 2.2 * small + 100_000


def test_a_common_near_miss_stops_being_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = 6000
    assert work("step {0} of 9999999: libcudnn version 9 undefined symbol: cuda\n", lines, monkeypatch) < lines * 2000


def test_no_expression_repeats_what_already_repeats_without_bound() -> None:
    nested = re.compile(r"\((?:[^()\\]|\\.)*(?<!\\)[*+](?:[^()\\]|\\.)*\)(?:[*+]|\{\d+,\})")
    for pattern in patterns():
        for expression in filter(None, (pattern.match, pattern.unless, pattern.near)):
            assert not nested.search(expression), expression
            assert not re.search(r"(?<!\\)\.[*+]", expression), f"without bound: {expression}"
