"""One local service for all tests here; those that break or bend a service start their own."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from local.api import Api
from local.emulator import CALLS
from local.launch import Launched, processes_of
from tests.e2e.clients import as_client
from tests.support.calls import recorded, refused

COPIES = 4
"""Of each function at most, so that it takes few requests to be too many."""


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    options = ["--copies", str(COPIES), "--record-calls"]
    launched = Launched(tmp_path_factory.mktemp("service") / "state", options=options)
    yield launched
    code = launched.stop()
    assert code == 0, launched.log()
    assert processes_of(launched.state) == []
    assert "Traceback" not in launched.log()
    calls = list(recorded(launched.state / CALLS))
    assert calls
    assert refused(calls) == [], "AWS would have refused these: template.yaml does not grant them"


@pytest.fixture(scope="session")
def anonymous(service: Launched) -> Api:
    return Api(service.described["base_url"])


@pytest.fixture(scope="session")
def api(service: Launched) -> Api:
    return as_client(service, "demo")


@pytest.fixture(scope="session")
def reader(service: Launched) -> Api:
    return as_client(service, "reader")


@pytest.fixture(scope="session")
def other(service: Launched) -> Api:
    return as_client(service, "other")


@pytest.fixture
def name() -> str:
    """A filename that no other test has."""
    return f"{uuid4().hex}.bin"
