"""An engine in memory with current images, and `up` that finds it ready."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from launcher import labels
from launcher.context import Context
from launcher.endpoint import Endpoint
from launcher.engine import Image
from launcher.progress import Progress
from launcher.request import make_request
from launcher.result import EnvironmentResult
from launcher.settings.keys import KEYS
from launcher.spec import Mode, UpRequest
from launcher.up import up
from tests.contract.copied_project import Sides, write
from tests.contract.copying_engine import CopyingEngine
from tests.contract.fake_engine import FakeEngine

Run = Callable[..., EnvironmentResult]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    from launcher.images import _stack
    from launcher.setup.build import image_reference
    from launcher.setup.source import source_digest

    made = FakeEngine()
    for target in ("jupyter", "ssh"):
        stack = _stack(None)
        source = source_digest(stack, target)
        made.images[image_reference(stack, target, source)] = Image("sha256:1", {labels.IMAGE_SOURCE: source})
    # No port of this machine matters.
    monkeypatch.setattr("launcher.up.reach.free_on_engine", lambda _context: lambda _port: True)
    monkeypatch.setattr("launcher.up.ensure_engine", lambda progress, consent: None)
    monkeypatch.setattr("launcher.up.usable_check", lambda *_: lambda: True)
    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info, root: ())
    return made


def context_for(engine: FakeEngine, tmp_path: Path, environ: Mapping[str, str] | None = None) -> Context:
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    context = Context(
        environ={"HOME": str(tmp_path / "home"), "ENVCHECK_ROOT": str(root), **(environ or {})},
        progress=Progress(io.StringIO()),
    )
    context.__dict__ |= {"engine": engine, "endpoint": Endpoint("unix:///simulated", "test"), "owner": 1000}
    return context


@pytest.fixture
def request_(tmp_path: Path) -> UpRequest:
    project = tmp_path / "project"
    project.mkdir()
    return UpRequest("demo", Mode.JUPYTER, project)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    (directory / "inside").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return directory


@pytest.fixture
def said() -> io.StringIO:
    """What the last run printed on stderr."""
    return io.StringIO()


@pytest.fixture
def run(engine: FakeEngine, tmp_path: Path, project: Path, said: io.StringIO) -> Run:
    """`launcher up demo` with options by their parameters' names; `yes` as --yes."""

    def start(yes: bool = False, **options: object) -> EnvironmentResult:
        context = context_for(engine, tmp_path)
        context.consent = yes or None
        said.seek(0)
        said.truncate()
        context.progress.stream = said
        given = {key.parameter: None for key in KEYS} | {"name": "demo", "project": str(project)}
        return up(context, make_request(context, **(given | options)))

    return start


@pytest.fixture
def sides(engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> Sides:
    """`demo`, made with --sync from a project with `a`, `sub/b` and `sub/c`."""
    (tmp_path / "inside").mkdir()
    copying = CopyingEngine(images=engine.images, inside=tmp_path / "inside")
    context = context_for(copying, tmp_path)
    (request_.project / "sub").mkdir()
    for name in ("a", "sub/b", "sub/c"):
        write(request_.project / name, name)
    up(context, replace(request_, sync=True))
    return Sides(copying, context, request_.project)
