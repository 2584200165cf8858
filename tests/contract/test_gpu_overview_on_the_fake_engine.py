"""`gpus` from question to answer (simulated: engine, and NVML by a library that cc compiles)."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from launcher import labels
from launcher.context import Context
from launcher.endpoint import Endpoint
from launcher.engine import Container, EngineInfo
from launcher.errors import NotReadyError
from launcher.gpu_overview import overview
from tests.conftest import lacking
from tests.contract.conftest import context_for
from tests.contract.counting_engine import CountingEngine
from tests.contract.fake_engine import FakeEngine
from tests.end_to_end.machines import compile_driver, compile_nvml, machine

FIRST = "GPU-00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        directory = tmp_path_factory.mktemp("driver")
        compile_driver(directory)
        return compile_nvml(directory).parent
    except (OSError, subprocess.CalledProcessError) as error:
        lacking(f"no C compiler: {error}")


@pytest.fixture
def four_gpus(nvml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated: an NVML that lists four cards; the third is used by a process of this test."""
    for name, value in {"LD_LIBRARY_PATH": str(nvml), "FAKE_NVML_COUNT": "4", "FAKE_NVML_USED": "1,1,20,1"}.items():
        monkeypatch.setenv(name, value)


def add_holders(engine: FakeEngine, count: int) -> None:
    for index in range(count):
        values = {labels.NAME: f"run{index}", labels.OWNER: "1000", labels.GPUS: json.dumps([FIRST])}
        engine.rows[f"gl-1000-run{index}"] = Container(f"id{index}", f"gl-1000-run{index}", "running", labels=values)


@pytest.mark.usefixtures("four_gpus")
def test_every_gpu_is_listed_with_holders_and_use(engine: FakeEngine, tmp_path: Path) -> None:
    add_holders(engine, 1)
    report = overview(context_for(engine, tmp_path))
    assert (report.source, [gpu.state for gpu in report.gpus]) == ("nvml", ["held", "free", "free", "free"])
    assert [gpu.busy for gpu in report.gpus] == ["", "", "21.5 GB", ""]
    assert report.gpus[0].holders[0].name == "run0"


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize("environments", [1, 50])
def test_the_engine_is_asked_twice_however_many_environments_hold_gpus(
    engine: FakeEngine, tmp_path: Path, environments: int
) -> None:
    add_holders(engine, environments)
    context, counting = context_for(engine, tmp_path), CountingEngine(engine)
    context.__dict__["engine"] = counting
    assert len(overview(context).gpus[0].holders) == environments
    assert counting.calls == {"info": 1, "containers": 1}


def test_an_nvml_that_hangs_is_given_up_and_the_engines_own_names_are_listed(
    engine: FakeEngine, tmp_path: Path, nvml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LD_LIBRARY_PATH": str(nvml), "FAKE_NVML_HANG": "1", "ENVCHECK_TIMEOUT": "0.5"}.items():
        monkeypatch.setenv(name, value)
    engine.information = EngineInfo("28.2", cdi_devices=("nvidia.com/gpu=0", "nvidia.com/gpu=all"))
    report = overview(context_for(engine, tmp_path))
    assert (report.source, [gpu.uuid for gpu in report.gpus]) == ("cdi", ["0"])
    assert report.remark is not None and "did not answer" in report.remark


def test_a_card_that_does_not_answer_is_an_error_that_says_why(
    engine: FakeEngine, tmp_path: Path, nvml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: the files of a card with a loaded driver, and an NVML that returns 999."""
    root = machine(tmp_path / "machine", card=True, driver=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(nvml))
    monkeypatch.setenv("FAKE_NVML_INIT", "999")
    with pytest.raises(NotReadyError, match="999") as caught:
        overview(context_for(engine, tmp_path, {"ENVCHECK_ROOT": str(root)}))
    assert caught.value.next_step


def test_without_a_card_the_list_is_empty_and_says_why(engine: FakeEngine, tmp_path: Path) -> None:
    report = overview(context_for(engine, tmp_path))
    assert (report.gpus, report.source) == ((), "none")
    assert report.remark == "no NVIDIA card found on this machine"


@pytest.mark.parametrize(
    ("information", "source", "remark"),
    [
        (EngineInfo("28.2", cdi_devices=("nvidia.com/gpu=0",)), "cdi", "the engine is on another machine"),
        (EngineInfo("20.10", runtimes=("runc", "nvidia")), "none", "its nvidia runtime names no GPUs"),
        (EngineInfo("20.10"), "none", "offers no GPU"),
    ],
)
@pytest.mark.usefixtures("four_gpus")
def test_this_machines_cards_are_not_taken_for_those_of_a_remote_engine(
    engine: FakeEngine, tmp_path: Path, information: EngineInfo, source: str, remark: str
) -> None:
    engine.information = replace(information, local=False)
    context: Any = context_for(engine, tmp_path)
    assert isinstance(context, Context)
    context.__dict__["endpoint"] = Endpoint("tcp://elsewhere:2376", "test")
    report = overview(context)
    assert report.source == source and remark in (report.remark or "")
