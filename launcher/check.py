"""`check`: envcheck on this machine and in an environment, side by side, and the first layer that is broken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from launcher.context import Context
from launcher.device import system_root
from launcher.engine import ExecResult
from launcher.environments import Environment, list_environments
from launcher.errors import LauncherError, NotReadyError
from launcher.findings import JUDGE, failure, report_of
from launcher.lifecycle import find, require_running

BAD = ("fail", "crash", "warn")


@dataclass(frozen=True, slots=True)
class Report:
    """What envcheck said in one place: verdict, root cause and findings, the root cause's first, as it prints them."""

    verdict: str
    root_cause: str | None
    findings: tuple[dict[str, Any], ...]

    @classmethod
    def from_json(cls, report: dict[str, Any]) -> Report:
        return cls(report["verdict"], report["root_cause"], tuple(report["findings"]))


@dataclass(frozen=True, slots=True)
class Broken:
    """The first broken layer: host, engine or container, and what has to be repaired there. `check` is envcheck's."""

    layer: str
    check: str | None
    cause_id: str | None
    summary: str
    fix: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found on each side. `host` is None for a remote engine, `container` where there is no environment to
    ask, `engine` where the engine answered. `name` is the environment's."""

    name: str | None
    host: Report | None
    engine: LauncherError | None
    container: Report | None

    @property
    def broken(self) -> Broken | None:
        """The host's layers come before the engine's, and the engine's before the container's."""
        if self.host is not None and self.host.verdict == "fail":
            return _broken("host", self.host)
        if self.engine is not None:
            return Broken("engine", None, self.engine.cause_id, self.engine.cause, self.engine.next_step)
        if self.container is not None and self.container.verdict == "fail":
            return _broken("container", self.container)
        return None

    def to_json(self) -> dict[str, Any]:
        """The object of `check --json`: keys are added, never renamed."""
        broken = self.broken
        first = None if broken is None else {"layer": broken.layer, "check": broken.check, "cause": broken.cause_id}
        sides = {"host": _report_json(self.host), "container": _report_json(self.container)}
        return {"name": self.name, "first_broken": first, **sides}

    def rows(self) -> list[tuple[str, str, str]]:
        """Check, what the host says, what the container says; a dash where it was not run or does not apply."""
        host, container = _statuses(self.host), _statuses(self.container)
        return [(check, host.get(check, "-"), container.get(check, "-")) for check in _in_order(host, container)]


def check(context: Context, name: str | None) -> Comparison:
    """Judge this machine, unless the engine is another's, and the environment that `name` means, if there is one.

    Raises UsageError or ConflictError as lifecycle.find does, NotReadyError for an environment that does not run.
    """
    host = _host(context) if context.endpoint.local else None
    try:
        environment = _environment(context, name)
    except NotReadyError as error:
        if error.cause_id is None:
            raise
        return Comparison(name, host, error, None)
    if environment is None:
        return Comparison(None, host, None, None)
    result = context.engine.execute(environment.engine_name, JUDGE)
    return Comparison(environment.name, host, None, _container(result))


def _environment(context: Context, name: str | None) -> Environment | None:
    if name is None and not list_environments(context.engine, context.owner):
        return None
    return require_running(find(context, name))


def _broken(layer: str, report: Report) -> Broken:
    finding = report.findings[0]
    fix = next(iter(finding["fix"]), "See the details there: envcheck")
    return Broken(layer, finding["check"], finding["cause"], finding["summary"], fix)


def _host(context: Context) -> Report:
    from envcheck.judge import examine

    # PyTorch runs in the container: what this machine's Python has is no part of the environment.
    report = examine(
        system_root(context.environ), torch=False, environ=context.environ, skip=("torch", "cudnn", "nccl")
    )
    return Report.from_json(report.to_json())


def _container(result: ExecResult) -> Report:
    report = report_of(result)
    if "verdict" not in report:
        raise failure(result, "envcheck cannot run in the container")
    return Report.from_json(report)


def _report_json(report: Report | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {"verdict": report.verdict, "root_cause": report.root_cause, "findings": list(report.findings)}


def _statuses(report: Report | None) -> dict[str, str]:
    if report is None:
        return {}
    return {f["check"]: _status(f) for f in report.findings if f["status"] != "skip"}


def _status(finding: dict[str, Any]) -> str:
    status = str(finding["status"])
    if status not in BAD:
        return status
    return f"{status.upper()} {finding['cause']}" if finding["cause"] else status.upper()


def _in_order(*statuses: Iterable[str]) -> list[str]:
    """By layer, as envcheck runs its checks."""
    from envcheck.checks import CHECKS

    present = {check for report in statuses for check in report}
    known = [check.id for check in CHECKS if check.id in present]
    return known + sorted(present - set(known))
