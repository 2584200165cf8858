"""Ports are chosen by us and checked against what really listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from launcher.errors import ConflictError, UsageError
from launcher.ports import candidate_ports, checked_port, is_free


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_a_conflict_that_names_it(busy_port: int) -> None:
    with pytest.raises(ConflictError, match=str(busy_port)):
        checked_port(busy_port)


@pytest.mark.parametrize("port", [0, -1, 65536, 99999])
def test_impossible_ports_are_usage_errors(port: int) -> None:
    with pytest.raises(UsageError):
        checked_port(port)


def test_candidates_skip_what_is_taken_and_begin_with_the_last_one(busy_port: int) -> None:
    def free(port: int) -> bool:
        return is_free(port) if port == busy_port else True  # of the others nobody knows

    ports = candidate_ports(busy_port, taken=[busy_port + 1], preferred=busy_port + 3, free=free)
    found = [next(ports) for _ in range(2)]
    assert found[0] == busy_port + 3
    assert found[1] not in (busy_port, busy_port + 1, busy_port + 3)
