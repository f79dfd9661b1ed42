"""One local service for all end-to-end tests. Tests that stop or reconfigure a service start one of their own.

Where FERRY_E2E_SERVICE names the state folder of a running service (`make test-sam` sets it), the tests use that
service, and those that start a service of their own are left out. The tests of `known_differences` must fail there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest

from dev.local.client import FerryClient
from dev.local.emulator import CALLS_FILE_NAME
from dev.local.launcher import LocalService, find_processes
from dev.network.fault_proxy import FaultProxy
from tests.e2e.clients import AttachedService, ServiceUnderTest, log_in_as
from tests.e2e.ferry_command import FerryCommand
from tests.e2e.known_differences import KNOWN_DIFFERENCES
from tests.support.calls import denied_calls, read_recorded_calls
from tests.support.secret_recorder import SecretRecorder, find_leaks, read_output, record_http

MAX_INSTANCES = 4
"""Instances of each function: few, so that few concurrent requests exceed the limit."""

SERVICE_FOLDER = os.environ.get("FERRY_E2E_SERVICE")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Behind SAM CLI, leave out tests that send that service nothing, and expect known differences to fail."""
    if not SERVICE_FOLDER:
        return
    others = [item for item in items if not _uses_attached_service(item)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]
    for item in items:
        for difference in KNOWN_DIFFERENCES:
            if difference.matches(item.nodeid):
                item.add_marker(pytest.mark.xfail(reason=difference.reason))


def _uses_attached_service(item: pytest.Item) -> bool:
    """Return whether the test uses the fixture `service` of this file, and none that its own file has in its place."""
    definitions = item._fixtureinfo.name2fixturedefs.get("service")  # type: ignore[attr-defined]
    return bool(definitions) and definitions[-1].func.__module__ == __name__


LOG_FILE_NAMES_PARAMETER = "LogFileNames=true"


@pytest.fixture(scope="session", autouse=True)
def no_secret_in_output() -> Iterator[None]:
    """Check the output of every service after the last test: it has no token, no secret and no signature, and names of
    files only where the operator enabled them.
    """
    recorder, services = SecretRecorder(), list[tuple[LocalService, bool]]()
    original_init = LocalService.__init__

    def recording_init(service: LocalService, state: Path, **options: Any) -> None:
        services.append((service, LOG_FILE_NAMES_PARAMETER in options.get("parameters", "")))
        original_init(service, state, **options)

    with record_http(recorder), patch.object(LocalService, "__init__", recording_init):
        yield
    found = []
    for service, allow_names in services:
        for name in ("ferry.json", "backends.json"):
            if (service.state_folder / name).exists():
                content = json.loads((service.state_folder / name).read_text(encoding="utf-8"))
                recorder.secrets.update(client["client_secret"] for client in content.get("clients", ()))
                recorder.secrets.update(filter(None, [content.get("secret_key")]))
        for path, text in read_output(service.state_folder):
            found += [f"{path.name}: {leak}" for leak in find_leaks(text, recorder, allow_names=allow_names)]
    assert not found, "\n".join(found[:20])


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    if SERVICE_FOLDER:
        yield AttachedService(Path(SERVICE_FOLDER))
        return
    options = ["--instances", str(MAX_INSTANCES), "--record-calls"]
    # As many long polls as instances and more, so that a test can keep every instance busy.
    parameters = f"MaxConcurrentLongPolls={2 * MAX_INSTANCES}"
    launched = LocalService(tmp_path_factory.mktemp("service") / "state", parameters=parameters, options=options)
    yield launched
    code = launched.stop()
    assert code == 0, launched.read_log()
    assert find_processes(launched.state_folder) == []
    assert "Traceback" not in launched.read_log()
    calls = list(read_recorded_calls(launched.state_folder / CALLS_FILE_NAME))
    assert calls
    assert denied_calls(calls) == [], "template.yaml does not grant these calls, so AWS would reject them"


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
    """Return a filename that no other test uses."""
    return f"{uuid4().hex}.bin"


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """A proxy that puts faults into the requests of `ferry`."""
    with FaultProxy() as running:
        yield running


@pytest.fixture
def ferry(service: ServiceUnderTest, proxy: FaultProxy, tmp_path: Path) -> FerryCommand:
    """The `ferry` command, signed in, behind the proxy."""
    return FerryCommand(service, tmp_path, proxy)
