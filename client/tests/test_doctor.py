"""`ferry doctor`: what it checks, and what it says to fix."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.commands import Run, json_lines, run
from client.tests.fake_service import S3_URL, FakeService
from ferry_client.transport import HttpRequest, HttpResponse, TransportError

__all__ = ["run"]

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def diagnose(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, str]]:
    """Return a function that returns what the doctor says to fix, by check."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)

    def diagnose(expected_code: int = 1) -> dict[str, str]:
        code = run("doctor", "--json")
        lines = json_lines(capsys.readouterr().out)
        found = {line["check"]: line["text"] for line in lines if not line["ok"]}
        assert code == (expected_code if found else 0)
        return found

    return diagnose


Diagnose = Callable[..., dict[str, str]]


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

    def respond(request: HttpRequest) -> HttpResponse | None:
        if not request.url.endswith("/health"):
            return None
        return HttpResponse(200, {"Date": email.utils.formatdate(time.time() - 3600, usegmt=True)}, b"{}")

    fake.before.append(respond)
    (text,) = diagnose().values()
    assert text.endswith(" s ahead of the service's. Transfers work; set it, for example by NTP.")


@pytest.mark.parametrize("variable", ["https_proxy", "all_proxy"])
def test_socks_proxy_is_found(diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """A SOCKS proxy is named, without its password, and with what to set instead."""
    monkeypatch.setenv(variable, "socks5h://user:secret@proxy.test:1080")
    text = "Proxies of socks5h:// are not supported. Set HTTPS_PROXY to an HTTP proxy, or add the host to NO_PROXY."
    assert diagnose(2) == {"proxy": text}


def test_service_out_of_reach_is_found_and_ends_the_checks(diagnose: Diagnose, fake: FakeService) -> None:
    """Without the service there is nothing else to check."""

    def fail(request: HttpRequest) -> None:
        raise TransportError("ferry.test:443 does not accept connections (check the URL)")

    fake.before.append(fail)
    text = "https://ferry.test is out of reach: ferry.test:443 does not accept connections (check the URL)."
    assert diagnose(6) == {"service": text}


def test_missing_scope_is_found(diagnose: Diagnose, fake: FakeService) -> None:
    """A client that may not write is a finding, and nothing else is tried."""
    from client.tests.fake_responses import problem

    fake.before.append(
        lambda request: (
            problem(403, "insufficient_scope", "files:write is missing.") if request.method == "PUT" else None
        )
    )
    assert diagnose(4) == {"send": "files:write is missing."}


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (
            HttpResponse(404, {}, b"{}"),
            "https://ferry.test/health responds with 404. Is this the URL of a Ferry service, ",
        ),
        (
            HttpResponse(200, {}, b"<html>"),
            "https://ferry.test/health responds with 200 and no health report. Is this the ",
        ),
        (HttpResponse(407, {}), "the proxy asks for a user and password: set HTTPS_PROXY=http://USER:PASSWORD@HOST"),
        (
            HttpResponse(503, {}),
            "https://ferry.test/health responds with 503: the service is overloaded or down. Try again",
        ),
    ],
)
def test_response_of_another_server_is_found(
    diagnose: Diagnose, fake: FakeService, response: HttpResponse, text: str
) -> None:
    """A server in the service's place is named by its status, with what to do: exit code 6."""
    fake.before.append(lambda request: response)
    (found,) = diagnose(6).values()
    assert found.startswith(text)


def test_login_that_is_not_accepted_is_found(diagnose: Diagnose, fake: FakeService) -> None:
    """A wrong secret and a disabled client look alike: exit code 4, and the command that replaces the login."""
    fake.before.append(lambda request: HttpResponse(401, {}, b"{}") if "/auth/token" in request.url else None)
    assert diagnose(4) == {
        "login": "The service does not accept the client id and secret. Check them with `ferry login`."
    }


def test_state_folder_that_cannot_be_written_is_found(
    diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The folder is named, with what does not work without it."""
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FERRY_STATE_DIR", str(tmp_path / "file" / "state"))
    (text,) = diagnose().values()
    assert text.startswith(f"{tmp_path}/file/state cannot be written: Not a directory. Set FERRY_STATE_DIR to another ")


def test_checksum_in_python_is_found(diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a compiled CRC32C gets the command that installs one."""
    monkeypatch.setattr("ferry_client.checksums.is_compiled", lambda: False)
    (text,) = diagnose().values()
    assert "pip install google-crc32c" in text


def test_quiet_doctor_shows_faults_alone(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of cron that finds nothing sends no mail."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    assert run("doctor", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    fake.before.append(lambda request: HttpResponse(404, {}))
    assert run("doctor", "--quiet") == 6
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("FIX   service: ")


def test_interrupted_doctor_leaves_no_file(run: Run, fake: FakeService) -> None:
    """Ctrl-C while the file comes back: it is deleted, as at the end."""

    def interrupt(request: HttpRequest) -> None:
        if request.method == "GET" and "/download" in request.url:
            raise KeyboardInterrupt

    fake.before.append(interrupt)
    assert run("doctor") == 130
    assert not fake.files


def test_file_of_a_killed_doctor_is_deleted_by_the_next_one(run: Run, fake: FakeService) -> None:
    """A file that one run could not delete is deleted by the next one, and no note of it remains."""

    def break_delete(request: HttpRequest) -> None:
        if request.method == "DELETE" and "/files" in request.url:
            raise TransportError("the connection broke")

    fake.before.append(break_delete)
    assert run("doctor") == 0
    (left,) = fake.files
    assert left.startswith("ferry-doctor-")
    fake.before.clear()
    assert run("doctor") == 0
    assert not fake.files


def test_doctor_leaves_the_file_of_a_running_one_alone(run: Run, fake: FakeService, tmp_path: Path) -> None:
    """Two doctors at once: the second deletes its own file alone, and the first ends without a fault."""
    codes: list[int] = []

    def run_second(request: HttpRequest) -> None:
        if request.method == "GET" and "/download" in request.url and not codes:
            codes.append(-1)
            codes.append(run("doctor"))
            assert len(fake.files) == 1

    fake.before.append(run_second)
    assert run("doctor") == 0
    assert codes == [-1, 0]
    assert not fake.files
    assert not list((tmp_path / "state").rglob("ferry-doctor-*"))


def test_doctor_leaves_the_file_of_another_client_alone(run: Run, fake: FakeService, tmp_path: Path) -> None:
    """A note that another client of this machine left is kept for that client."""
    note = tmp_path / "state" / "doctor-files" / "ferry-doctor-0"
    note.parent.mkdir(parents=True)
    note.write_text('{"url": "https://ferry.test", "client_id": "other"}')
    fake.put_file(note.name, b"1")
    assert run("doctor") == 0
    assert list(fake.files) == [note.name]
    assert note.exists()
