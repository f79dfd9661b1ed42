"""One local service for all tests here; those that break or bend a service start their own.

Where FERRY_E2E_SERVICE names a folder that describes a running service (`make test-sam` does), the tests talk to that
one instead, but for those that `differences` has a reason for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest

from dev.local.client import FerryClient
from dev.local.emulator import CALLS_FILE_NAME
from dev.local.launcher import LocalService, find_processes
from tests.e2e.clients import AttachedService, ServiceUnderTest, log_in_as
from tests.e2e.known_differences import KNOWN_DIFFERENCES
from tests.support.calls import denied_calls, read_recorded_calls
from tests.support.secret_recorder import SecretRecorder, find_leaks, read_output, record_http

MAX_INSTANCES = 4
"""Of each function at most, so that it takes few requests to be too many."""


SERVICE_FOLDER = os.environ.get("FERRY_E2E_SERVICE")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Behind SAM CLI: what is known to differ must differ, and what needs a service of its own is left out."""
    for item in items if SERVICE_FOLDER else ():
        for difference in KNOWN_DIFFERENCES:
            if difference.matches(item.nodeid):
                mark = pytest.mark.skip if difference.own_service else pytest.mark.xfail
                item.add_marker(mark(reason=difference.reason))


LOG_FILE_NAMES_PARAMETER = "LogFileNames=true"


@pytest.fixture(scope="session", autouse=True)
def no_secret_in_output() -> Iterator[None]:
    """All output of all services that ran here, when the last test is done: no token, no secret, no signature, and no
    name of a file but where the operator has asked for names.
    """
    heard, ran = SecretRecorder(), list[tuple[LocalService, bool]]()
    launch = LocalService.__init__

    def noted(service: LocalService, state: Path, **given: Any) -> None:
        ran.append((service, LOG_FILE_NAMES_PARAMETER in given.get("parameters", "")))
        launch(service, state, **given)

    with record_http(heard), patch.object(LocalService, "__init__", noted):
        yield
    found = []
    for service, names_may in ran:
        for name in ("ferry.json", "backends.json"):
            if (service.state_folder / name).exists():
                told = json.loads((service.state_folder / name).read_text(encoding="utf-8"))
                heard.secrets.update(client["client_secret"] for client in told.get("clients", ()))
                heard.secrets.update(filter(None, [told.get("secret_key")]))
        for path, text in read_output(service.state_folder):
            found += [f"{path.name}: {leak}" for leak in find_leaks(text, heard, allow_names=names_may)]
    assert not found, "\n".join(found[:20])


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    if SERVICE_FOLDER:
        yield AttachedService(Path(SERVICE_FOLDER))
        return
    options = ["--instances", str(MAX_INSTANCES), "--record-calls"]
    launched = LocalService(tmp_path_factory.mktemp("service") / "state", options=options)
    yield launched
    code = launched.stop()
    assert code == 0, launched.read_log()
    assert find_processes(launched.state_folder) == []
    assert "Traceback" not in launched.read_log()
    calls = list(read_recorded_calls(launched.state_folder / CALLS_FILE_NAME))
    assert calls
    assert denied_calls(calls) == [], "AWS would have refused these: template.yaml does not grant them"


@pytest.fixture(scope="session")
def anonymous(service: ServiceUnderTest) -> FerryClient:
    return FerryClient(service.connection_info["base_url"])


@pytest.fixture(scope="session")
def api(service: ServiceUnderTest) -> FerryClient:
    return log_in_as(service, "demo")


@pytest.fixture(scope="session")
def reader(service: ServiceUnderTest) -> FerryClient:
    return log_in_as(service, "reader")


@pytest.fixture(scope="session")
def other(service: ServiceUnderTest) -> FerryClient:
    return log_in_as(service, "other")


@pytest.fixture
def name() -> str:
    """A filename that no other test has."""
    return f"{uuid4().hex}.bin"
