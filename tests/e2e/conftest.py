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

from local.api import Api
from local.emulator import CALLS
from local.launch import Launched, processes_of
from tests.e2e.clients import Attached, Service, as_client
from tests.e2e.differences import DIFFERENCES
from tests.support.calls import recorded, refused
from tests.support.leaks import Heard, leaks, listening, output_of

COPIES = 4
"""Of each function at most, so that it takes few requests to be too many."""


GIVEN = os.environ.get("FERRY_E2E_SERVICE")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Behind SAM CLI: what is known to differ must differ, and what needs a service of its own is left out."""
    for item in items if GIVEN else ():
        for difference in DIFFERENCES:
            if difference.matches(item.nodeid):
                mark = pytest.mark.skip if difference.elsewhere else pytest.mark.xfail
                item.add_marker(mark(reason=difference.reason))


NAMES_MAY = "LogFileNames=true"


@pytest.fixture(scope="session", autouse=True)
def nothing_secret_is_said() -> Iterator[None]:
    """All output of all services that ran here, when the last test is done: no token, no secret, no signature, and no
    name of a file but where the operator has asked for names.
    """
    heard, ran = Heard(), list[tuple[Launched, bool]]()
    launch = Launched.__init__

    def noted(service: Launched, state: Path, **given: Any) -> None:
        ran.append((service, NAMES_MAY in given.get("parameters", "")))
        launch(service, state, **given)

    with listening(heard), patch.object(Launched, "__init__", noted):
        yield
    found = []
    for service, names_may in ran:
        for name in ("ferry.json", "backends.json"):
            if (service.state / name).exists():
                told = json.loads((service.state / name).read_text(encoding="utf-8"))
                heard.secrets.update(client["client_secret"] for client in told.get("clients", ()))
                heard.secrets.update(filter(None, [told.get("secret_key")]))
        for path, text in output_of(service.state):
            found += [f"{path.name}: {leak}" for leak in leaks(text, heard, names_may=names_may)]
    assert not found, "\n".join(found[:20])


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    if GIVEN:
        yield Attached(Path(GIVEN))
        return
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
def anonymous(service: Service) -> Api:
    return Api(service.described["base_url"])


@pytest.fixture(scope="session")
def api(service: Service) -> Api:
    return as_client(service, "demo")


@pytest.fixture(scope="session")
def reader(service: Service) -> Api:
    return as_client(service, "reader")


@pytest.fixture(scope="session")
def other(service: Service) -> Api:
    return as_client(service, "other")


@pytest.fixture
def name() -> str:
    """A filename that no other test has."""
    return f"{uuid4().hex}.bin"
