"""`ferry doctor`: what it checks, and what it says to fix."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable

import pytest

from client.tests.fake_service import S3_URL, FakeService
from client.tests.test_command import Run, json_lines, run
from ferry_client.transport import HttpRequest, HttpResponse, TransportError

__all__ = ["run"]

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def diagnose(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[], dict[str, str]]:
    """Return a function that returns what the doctor says to fix, by check."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)

    def diagnose() -> dict[str, str]:
        code = run("doctor", "--json")
        lines = json_lines(capsys.readouterr().out)
        found = {line["check"]: line["text"] for line in lines if not line["ok"]}
        assert code == (1 if found else 0)
        return found

    return diagnose


Diagnose = Callable[[], dict[str, str]]


def test_sound_machine_has_nothing_to_fix(diagnose: Diagnose, fake: FakeService) -> None:
    """Both ways to the API and to S3 are tried; no file and no upload remains."""
    assert diagnose() == {}
    methods = {(request.method, request.url.startswith(S3_URL)) for request in fake.requests}
    assert {("PUT", False), ("PUT", True), ("GET", True)} <= methods
    assert not fake.files
    assert not fake.uploads


@pytest.mark.parametrize(("method", "check"), [("PUT", "send to S3"), ("GET", "fetch from S3")])
def test_way_to_s3_that_is_closed_is_found(diagnose: Diagnose, fake: FakeService, method: str, check: str) -> None:
    """Each way to S3 is a finding of its own, and no upload remains."""

    def fail(request: HttpRequest) -> HttpResponse | None:
        if request.url.startswith(S3_URL) and request.method == method:
            raise TransportError("the server did not accept a connection in time")
        return None

    fake.before.append(fail)
    text = "the server did not accept a connection in time. Transfers go through the API alone, in chunks of 4 MiB."
    assert diagnose() == {check: text}
    assert not fake.uploads


def test_clock_that_is_wrong_is_found(diagnose: Diagnose, fake: FakeService) -> None:
    """A clock an hour off is named with its side; the login still works."""

    def answer(request: HttpRequest) -> HttpResponse | None:
        if not request.url.endswith("/health"):
            return None
        return HttpResponse(200, {"Date": email.utils.formatdate(time.time() - 3600, usegmt=True)}, b"{}")

    fake.before.append(answer)
    (text,) = diagnose().values()
    assert text.endswith(" s ahead of the service's. Transfers work; set it, for example by NTP.")


@pytest.mark.parametrize("variable", ["https_proxy", "all_proxy"])
def test_socks_proxy_is_found(diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """A SOCKS proxy is named, without its password, and with what to set instead."""
    monkeypatch.setenv(variable, "socks5h://user:secret@proxy.test:1080")
    text = "Proxies of socks5h:// are not supported. Set HTTPS_PROXY to an HTTP proxy, or add the host to NO_PROXY."
    assert diagnose() == {"proxy": text}


def test_service_out_of_reach_is_found_and_ends_the_checks(diagnose: Diagnose, fake: FakeService) -> None:
    """Without the service there is nothing else to check."""

    def fail(request: HttpRequest) -> None:
        raise TransportError("no connection to the server")

    fake.before.append(fail)
    text = "https://ferry.test: no connection to the server. Check the URL, the network and the proxy."
    assert diagnose() == {"service": text}


def test_missing_scope_is_found(diagnose: Diagnose, fake: FakeService) -> None:
    """A client that may not write is a finding, and nothing else is tried."""
    from client.tests.fake_responses import problem

    fake.before.append(
        lambda request: (
            problem(403, "insufficient_scope", "files:write is missing.") if request.method == "PUT" else None
        )
    )
    assert diagnose() == {"send": "files:write is missing."}
