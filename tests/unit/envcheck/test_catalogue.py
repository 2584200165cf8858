"""The tables: every public cause id is there, documented and readable on every Python; every check documents itself."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import envcheck
from envcheck.causes import causes
from envcheck.checks import CHECKS, TOPICS, Check
from envcheck.compat import cuda_error, cudnn_version_text, version_key
from envcheck.gputests.proofs import PROOFS
from envcheck.tables import load_table, parse_subset
from envcheck.xid import xid_catalogue, xid_meaning

PACKAGE = Path(envcheck.__file__).parent
# Scripts match on these: ids are added, never renamed or removed.
PUBLIC_IDS = """
driver-missing driver-not-loaded driver-nouveau driver-secure-boot driver-open-module-required driver-library-mismatch
driver-too-old cuda-compat-mismatch cuda-forward-compat-unsupported cuda-fabric-manager cuda-unknown-init
cuda-devices-masked cuda-stub-library cuda-device-busy gpu-memory-ecc gpu-fallen-off-bus gpu-out-of-memory
arch-unsupported ptx-unsupported-toolchain torch-cpu-only torchvision-mismatch cudnn-shadowed library-shadowed
compiler-missing numpy-abi shm-too-small nccl-network-interface nccl-peer-to-peer nccl-version-mismatch nccl-timeout
nccl-duplicate-gpu container-no-gpu-runtime container-unknown-runtime container-driver-libs-missing
container-requirement-unsatisfied container-cdi-unresolvable container-cdi-legacy-conflict container-lost-gpu
container-capabilities-missing docker-daemon-unreachable docker-permission-denied docker-port-in-use docker-disk-full
docker-registry-unreachable docker-rate-limited ssh-host-key-changed ssh-publickey-denied ssh-forwarding-disabled
vscode-server-prerequisites wsl-driver-libs-missing dataset-download-failed address-in-use-rendezvous user-code none
"""
PUBLIC = PUBLIC_IDS.split()


def test_every_public_cause_is_catalogued_and_no_other() -> None:
    assert sorted(causes()) == sorted(PUBLIC)


def test_every_cause_says_what_why_and_how_to_fix() -> None:
    for identifier, row in causes().items():
        assert row.what and row.why and row.reference.startswith("https://"), identifier
        assert row.fix or identifier == "none", identifier


def test_every_cause_that_a_check_or_table_names_is_public() -> None:
    families = "|".join(sorted({identifier.split("-")[0] for identifier in PUBLIC if "-" in identifier}))
    pattern = re.compile(rf'"((?:{families})-[a-z0-9-]+)"')
    ids = {check.id for check in CHECKS} | {proof.check for proof in PROOFS} | {"nccl-all-reduce"}
    files = [*(PACKAGE / "checks").glob("*.py"), *(PACKAGE / "gputests").glob("*.py"), PACKAGE / "compat.toml"]
    named = {name for file in files for name in pattern.findall(file.read_text(encoding="utf-8"))}
    assert len(named) > 20
    assert named - ids <= set(PUBLIC)


def test_every_row_of_the_compatibility_tables_has_its_source() -> None:
    for name, rows in load_table("compat.toml").items():
        for row in rows if isinstance(rows, list) else [rows]:
            assert row.get("source"), (name, row)


@pytest.mark.parametrize("table", ["causes.toml", "compat.toml", "xid.toml", "catalogue.toml"])
def test_the_reader_for_python_3_10_reads_the_tables_as_a_toml_parser_does(table: str) -> None:
    tomllib = pytest.importorskip("tomllib")
    text = (PACKAGE / table).read_text(encoding="utf-8")
    assert parse_subset(text) == tomllib.loads(text)


def test_every_xid_is_there_once_and_of_a_kind_that_is_judged() -> None:
    rows = load_table("xid.toml")["xid"]
    assert len({row["number"] for row in rows}) == len(rows)
    kinds = {"application", "information", "memory", "bus", "nvlink", "reset", "action"}
    assert {row["kind"] for row in rows} == kinds
    assert xid_catalogue().startswith("https://docs.nvidia.com/")
    assert (xid_meaning(79).kind, xid_meaning(13).kind, xid_meaning(7777).kind) == ("bus", "application", "unknown")


def test_the_reader_refuses_what_is_not_a_key() -> None:
    with pytest.raises(ValueError, match="line 2"):
        parse_subset("[a]\nnonsense\n")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_check_documents_itself_and_has_a_topic(check: Check) -> None:
    text = inspect.getdoc(check.judge) or ""
    starts = [line.split(":")[0] for line in text.splitlines()]
    assert starts == ["What it checks", "Why it matters", "How to fix", "Reference"]
    assert check.topic in TOPICS


def test_every_topic_has_a_check() -> None:
    assert {check.topic for check in CHECKS} == set(TOPICS)


def test_versions_compare_as_numbers() -> None:
    assert version_key("525.60.13") > version_key("525.60.12")
    assert version_key("570.26") < version_key("570.124.06")
    assert version_key("580.65.06-open") == (580, 65, 6)


def test_cudnn_numbers_read_as_versions() -> None:
    assert [cudnn_version_text(number) for number in (91002, 90100, 8902)] == ["9.10.2", "9.1.0", "8.9.2"]


def test_an_unknown_cuda_error_keeps_its_number() -> None:
    assert (cuda_error(4711).name, cuda_error(4711).cause) == ("error 4711", None)
