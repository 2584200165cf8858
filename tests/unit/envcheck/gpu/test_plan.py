"""Which programs are started, with which arguments and environment."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import envcheck.gputests
from envcheck.gputests.levels import LEVELS
from envcheck.gputests.peaks import peak
from envcheck.gputests.plan import SECONDS, gpu_program, kernel_program, program_environment, transfer_program
from envcheck.gputests.proofs import PROOFS
from envcheck.tables import load_table, parse_subset
from tests.unit.envcheck.gpu.reports import H100, MIG, SECOND

PACKAGE = Path(envcheck.gputests.__file__).parent


def test_every_pair_is_copied_in_both_directions_and_mig_instances_in_none() -> None:
    stages = transfer_program("python", (H100, SECOND), "quick").stages
    assert stages == ("copy 0", "copy 1", "peer 0 1", "peer 1 0")
    assert transfer_program("python", (MIG,), "full").stages == ("copy 0",)


def test_levels_grow_and_quick_leaves_out_what_takes_long() -> None:
    stages = {name: set(level.stages) for name, level in LEVELS.items()}
    assert stages["kernel-only"] < stages["quick"] < stages["standard"] < stages["full"]
    assert not stages["quick"] & {"compile", "memory", "load"} and not LEVELS["quick"].all_reduce
    assert LEVELS["full"].load < SECONDS["load"]


def test_every_stage_of_a_level_is_a_documented_proof() -> None:
    assert set(LEVELS["full"].stages) <= {proof.stage for proof in PROOFS}


def test_a_setting_that_changes_what_fp32_means_does_not_reach_the_programs() -> None:
    given = {"NVIDIA_TF32_OVERRIDE": "1", "TRITON_CACHE_DIR": "/x", "NCCL_DEBUG": "INFO", "PATH": "/bin"}
    environ = program_environment(given, "/cache")
    assert environ == {"NCCL_DEBUG": "INFO", "PATH": "/bin", "TORCHINDUCTOR_CACHE_DIR": "/cache"}


def test_the_kernel_runs_isolated_in_this_interpreter() -> None:
    program = kernel_program(2)
    assert program.command[:3] == (sys.executable, "-I", "-S") and program.stages == ("run 0", "run 1")


def test_a_deadline_is_that_of_the_stages_kind() -> None:
    program = gpu_program("python", H100, "full", 1)
    assert (program.limit("compile"), program.limit("peer 0 1"), program.limit("import")) == (300.0, 30.0, 180.0)


@pytest.mark.parametrize(
    ("name", "precision", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989.5),
        ("NVIDIA A100-SXM4-40GB", "tf32", 156.0),
        ("NVIDIA A100 80GB PCIe", "bf16", 312.0),
        ("Tesla T4", "fp32", 8.1),
        ("Tesla T4", "bf16", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bf16", None),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bf16", None),
        ("NVIDIA A1000", "fp32", None),
        ("A card of 2030", "fp32", None),
    ],
)
def test_a_peak_is_known_for_the_whole_name_only(name: str, precision: str, expected: float | None) -> None:
    assert peak(name, precision) == expected


def test_every_peak_has_its_source_and_is_readable_on_python_3_10() -> None:
    assert all(row["source"] for row in load_table("gputests/peaks.toml")["peak"])
    assert parse_subset((PACKAGE / "peaks.toml").read_text("utf-8")) == load_table("gputests/peaks.toml")


@pytest.mark.parametrize("file", sorted((PACKAGE / "programs").glob("*.py")), ids=lambda file: file.name)
def test_the_programs_are_written_for_the_oldest_python_that_pytorch_runs_on(file: Path) -> None:
    # Evaluated annotations and calls of newer Pythons are not seen by the parser: the two that are likely are searched.
    text = file.read_text("utf-8")
    ast.parse(text, feature_version=(3, 9))
    assert "from __future__ import annotations" in text or file.name == "__init__.py"
    # kernel.py runs in envcheck's own Python.
    assert file.name == "kernel.py" or ("strict=" not in text and "slots=True" not in text)


def test_starting_for_the_kernel_alone_loads_nothing_that_only_pytorch_needs() -> None:
    program = "import sys, envcheck.gputests.command; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=PACKAGE.parents[1])
    assert not {"tempfile", "envcheck.gputests.prove_torch", "envcheck.probes.torch"} & set(loaded.stdout.split())
