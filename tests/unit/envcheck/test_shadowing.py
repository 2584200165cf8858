"""What lies in LD_LIBRARY_PATH, and the exact command that takes it out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from envcheck.checks import BY_ID
from envcheck.checks.library_path import without
from envcheck.facts import Facts
from envcheck.probes.shadowing import probe_shadowing
from tests.unit.envcheck.machines import gpu_host
from tests.unit.envcheck.rules.cases import crashed
from tests.unit.envcheck.test_probes import write


def test_cuda_libraries_are_listed_in_the_loaders_order_and_nothing_else(tmp_path: Path) -> None:
    for name in (
        "b/libcudnn_ops.so.9",
        "b/libcudnn.so.9.10.2",
        "a/libnvJitLink.so.12",
        "a/libz.so.1",
        "a/libcudnn.txt",
    ):
        write(tmp_path, name)
    path = f"{tmp_path}/b::{tmp_path}/nowhere:{tmp_path}/a:{tmp_path}/b"
    assert probe_shadowing({"LD_LIBRARY_PATH": path}) == (
        f"{tmp_path}/b/libcudnn.so.9.10.2",
        f"{tmp_path}/b/libcudnn_ops.so.9",
        f"{tmp_path}/a/libnvJitLink.so.12",
    )
    assert probe_shadowing({}) == ()


@pytest.mark.parametrize(
    ("value", "wrong", "command"),
    [
        ("/c", "/c", ("unset LD_LIBRARY_PATH",)),
        ("/a:/c/:/b", "/c", ("export LD_LIBRARY_PATH=/a:/b",)),
        ("/a", "/c", ()),
        ("", "/c", ()),
    ],
)
def test_only_the_wrong_directory_is_taken_out(value: str, wrong: str, command: tuple[str, ...]) -> None:
    assert without(Facts(environment={"LD_LIBRARY_PATH": value}), [wrong]) == command


def test_a_shadowed_cudnn_names_the_file_and_the_command() -> None:
    facts = crashed("cudnn", "undefined symbol", cudnn=None)
    shadowed = replace(
        facts, environment={"LD_LIBRARY_PATH": "/a:/opt/cudnn"}, shadowing=("/opt/cudnn/libcudnn_graph.so.9",)
    )
    finding = BY_ID["cudnn"].judge(shadowed)
    assert finding.fix == ("export LD_LIBRARY_PATH=/a",)
    assert "in LD_LIBRARY_PATH: /opt/cudnn/libcudnn_graph.so.9" in finding.evidence
    assert BY_ID["cudnn"].judge(replace(facts, environment={"LD_LIBRARY_PATH": "/a"})).fix[0].startswith("unset ")


def test_a_path_with_libraries_that_shadow_nothing_is_no_fault() -> None:
    healthy = replace(gpu_host(), environment={"LD_LIBRARY_PATH": "/c"}, shadowing=("/c/libcublas.so.12",))
    assert [BY_ID[check].judge(healthy).status.value for check in ("cudnn", "torch-build")] == ["ok", "ok"]
