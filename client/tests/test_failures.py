"""What goes wrong on the way: each failure has its message and its exit code, and the same command continues."""

from __future__ import annotations

import errno
import io
import os
import random
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

from client.tests.commands import Run, json_lines, run
from client.tests.fake_responses import fail_once, problem
from client.tests.fake_service import S3_URL, URL, FakeService
from client.tests.pipes import Pipe, standard_input
from ferry_client.cli import stdin
from ferry_client.transport import HttpRequest, HttpResponse, TransportError

__all__ = ["run"]

MIB = 1024 * 1024
SIZE = 5 * MIB + 7

DATA = random.Random(1).randbytes(SIZE)

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def source(run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "a"
    path.write_bytes(DATA)
    return path


def at_chunk(number: int, act: Callable[[], Any]) -> Callable[[HttpRequest], HttpResponse | None]:
    """Return a fault that does something once, before the chunk of this number takes effect."""
    seen = [0]

    def fault(request: HttpRequest) -> HttpResponse | None:
        if "/upload/chunk" in request.url:
            seen[0] += 1
            if seen[0] == number:
                result = act()
                return result if isinstance(result, HttpResponse) else None
        return None

    return fault


def fail_with(number: int) -> Callable[..., Any]:
    """Return a function that fails with an error of the system."""

    def fail(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def put_again(run: Run, fake: FakeService, capsys: Captured) -> dict[str, Any]:
    """Run the same command without faults, and return its result."""
    fake.before.clear()
    capsys.readouterr()
    assert run("put", "a", "x", "--json") == 0
    (line,) = json_lines(capsys.readouterr().out)
    return line


@pytest.mark.skipif(not hasattr(os, "pread"), reason="this system reads otherwise")
def test_read_error_is_named(
    run: Run, fake: FakeService, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """A disk that fails while a file is sent: exit code 1, no file, and the upload continues afterwards."""
    with monkeypatch.context() as broken:
        fake.before.append(at_chunk(9, lambda: broken.setattr(os, "pread", fail_with(errno.EIO))))
        assert run("put", "a", "x") == 1
    assert capsys.readouterr() == ("", "ferry: a cannot be read: Input/output error.\n")
    assert not fake.files
    assert put_again(run, fake, capsys)["resumed_bytes"] >= MIB


@pytest.mark.skipif(not hasattr(os, "pwrite"), reason="this system writes otherwise")
@pytest.mark.parametrize("size", [5, SIZE], ids=["small", "ranges"])
def test_full_disk_is_named(
    run: Run, fake: FakeService, size: int, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """A disk that is full while a file is fetched: exit code 8, no file; afterwards the file is whole."""
    fake.put_file("x", DATA[:size])
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", fail_with(errno.ENOSPC))
        assert run("get", "x", "b") == 8
    message = "ferry: No space left for b. Free some and run the same command again; it continues.\n"
    assert capsys.readouterr() == ("", message)
    assert not Path("b").exists()
    assert run("get", "x", "b") == 0
    assert Path("b").read_bytes() == DATA[:size]


def test_full_disk_of_spooled_input_is_named(
    run: Run, fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """A state folder without room for standard input: exit code 8, and nothing was sent."""
    monkeypatch.setattr("ferry_client.cli.stdin._copy", fail_with(errno.ENOSPC))
    assert run("put", "-", "x", "--spool-input") == 8
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"ferry: No space left for {tmp_path}/state/stdin/")
    assert fake.count("POST", "/upload") == 0


def test_spooled_input_whose_name_is_taken_is_kept(
    run: Run, fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """An input that is rejected is not lost: the error says where it is, and how to send it."""
    fake.put_file("x", b"other")
    standard_input(monkeypatch, b"input")
    assert run("put", "-", "x", "--spool-input") == 5
    (kept,) = (tmp_path / "state" / "stdin").iterdir()
    assert kept.read_bytes() == b"input"
    assert kept.stat().st_mode & 0o077 == 0 or os.name == "nt"
    assert f"send it with: ferry put {kept} x\n" in capsys.readouterr().err
    assert run("put", str(kept), "y") == 0
    assert fake.files["y"].data == b"input"


def test_second_process_that_spools_input_of_a_name_is_named(
    run: Run, fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """While one process sends its input, another one with the same name reads nothing and replaces nothing."""
    standard_input(monkeypatch, b"input")
    with stdin.spooled(tmp_path / "state", URL, "x") as path:
        standard_input(monkeypatch, b"other")
        assert run("put", "-", "x", "--spool-input") == 1
        assert path.read_bytes() == b"input"
        assert sys.stdin.read() == "other"
    assert capsys.readouterr().err == "ferry: Another process sends standard input as x now. Wait for it.\n"


def test_input_that_cannot_be_read_is_named(
    run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """An input such as a folder: the error is not one of the disk that it is written to."""
    directory = Pipe(b"", OSError(errno.EISDIR, os.strerror(errno.EISDIR)))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(directory)))
    assert run("put", "-", "x", "--spool-input") == 1
    assert capsys.readouterr().err == "ferry: The input cannot be read: Is a directory.\n"


def test_copy_of_a_killed_process_is_deleted_after_a_day(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process copied before it was killed does not stay for ever."""
    folder = tmp_path / "state" / "stdin"
    folder.mkdir(parents=True)
    for name, mtime in (("old.part", 1), ("new.part", None)):
        (folder / name).touch()
        os.utime(folder / name, None if mtime is None else (mtime, mtime))
    standard_input(monkeypatch, b"input")
    assert run("put", "-", "x", "--spool-input") == 0
    assert [path.name for path in folder.iterdir()] == ["new.part"]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (SIZE + 1, "a changed while it was sent. The service has no file of mixed content. Send it again."),
        (MIB, "a is shorter than when its upload began. Send it again."),
    ],
    ids=["grown", "shrunk"],
)
def test_file_that_changes_is_named(run: Run, fake: FakeService, source: Path, size: int, message: str) -> None:
    """A file that grows or shrinks while it is sent: exit code 7, no file; the next run sends it as it is then."""
    shown = io.StringIO()
    fake.before.append(at_chunk(9, lambda: os.truncate(source, size)))
    with redirect_stderr(shown):
        assert run("put", "a", "x", "--jobs", "1") == 7
    assert shown.getvalue() == f"ferry: {message}\n"
    assert not fake.files
    fake.before.clear()
    assert run("put", "a", "x") == 0
    assert fake.files["x"].data == source.read_bytes()


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock_an_hour_off_changes_nothing(
    run: Run, fake: FakeService, source: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Tokens and waits follow a clock that no change of the time moves."""
    right = __import__("time").time
    monkeypatch.setattr("time.time", lambda: right() + hours * 3600)
    assert run("put", "a", "x") == 0
    assert run("get", "x", "b") == 0
    assert Path("b").read_bytes() == DATA
    assert fake.count("POST", "/auth/token") == 2


def test_revoked_client_is_named(run: Run, fake: FakeService, source: Path, capsys: Captured) -> None:
    """A client that is revoked in the middle: exit code 4, and what to check."""

    def revoke() -> None:
        fake.tokens.clear()
        fake.before.append(
            lambda request: problem(401, "invalid_client", "no") if "/auth/token" in request.url else None
        )

    fake.before.append(at_chunk(9, revoke))
    assert run("put", "a", "x") == 4
    message = "The service does not accept the client id and secret. Check them with `ferry login`."
    assert capsys.readouterr() == ("", f"ferry: {message}\n")
    assert put_again(run, fake, capsys)["resumed_bytes"] >= MIB


def test_scope_that_was_withdrawn_is_named(run: Run, fake: FakeService, source: Path, capsys: Captured) -> None:
    """A scope that is withdrawn in the middle: exit code 4, in the words of the service."""
    fake.before.append(at_chunk(9, lambda: problem(403, "insufficient_scope", "The token lacks files:write.")))
    assert run("put", "a", "x") == 4
    assert capsys.readouterr() == ("", "ferry: The token lacks files:write.\n")


def test_upload_that_expired_overnight_starts_anew(run: Run, fake: FakeService, source: Path, capsys: Captured) -> None:
    """An upload that the service ended while the client slept: said once, sent again, exit code 0."""
    fake.before.append(at_chunk(9, fake.uploads.clear))
    assert run("put", "a", "x") == 0
    assert capsys.readouterr() == (
        "x 5.0 MiB\n",
        "x: the upload no longer exists on the service; it begins anew.\n",
    )
    assert fake.files["x"].data == DATA


def test_upload_that_expires_again_and_again_is_an_error(
    run: Run, fake: FakeService, source: Path, capsys: Captured
) -> None:
    """Uploads that end before they are complete, three times: exit code 3."""
    fake.before.append(
        lambda request: (
            problem(410, "upload_expired", "The upload has expired.") if "/upload/chunk" in request.url else None
        )
    )
    assert run("put", "a", "x") == 3
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "ferry: The upload has expired."
    assert len(captured.err.splitlines()) == 3


@pytest.fixture
def large(run: Run, tmp_path: Path) -> Path:
    """Return a file that goes straight to S3."""
    path = tmp_path / "a"
    path.write_bytes(DATA * 4)
    return path


def reject_urls(times: int, method: str) -> Callable[[HttpRequest], HttpResponse | None]:
    """Return a fault: S3 rejects so many presigned URLs, as it does when they have expired."""
    left = [times]

    def fault(request: HttpRequest) -> HttpResponse | None:
        if request.url.startswith(S3_URL) and request.method == method and left[0]:
            left[0] -= 1
            return HttpResponse(403, {}, b"<Code>AccessDenied</Code><Message>Request has expired</Message>")
        return None

    return fault


def test_url_that_expired_is_asked_for_anew(run: Run, fake: FakeService, large: Path) -> None:
    """Presigned URLs that expired, up and down: new ones, exit code 0, and the right bytes."""
    fake.before += [reject_urls(2, "PUT"), reject_urls(2, "GET")]
    assert run("put", "a", "x") == 0
    assert fake.count("POST", "/upload/parts") >= 2
    assert run("get", "x", "b") == 0
    assert Path("b").read_bytes() == large.read_bytes()


def test_urls_that_s3_always_rejects_are_named(run: Run, fake: FakeService, large: Path, capsys: Captured) -> None:
    """S3 that accepts no URL for a part: exit code 6, and what to check."""
    fake.before.append(reject_urls(10_000, "PUT"))
    assert run("put", "a", "x", "--jobs", "1") == 6
    message = r"ferry: S3 rejected part \d+ 20 times\. Check this machine's clock and proxy: ferry doctor\n"
    assert re.fullmatch(message, capsys.readouterr().err)


def test_download_goes_through_the_api_where_s3_rejects_every_url(
    run: Run, fake: FakeService, large: Path, capsys: Captured
) -> None:
    """S3 that accepts no URL for a range: the API carries the file, and that is said once."""
    fake.put_file("x", large.read_bytes())
    fake.before.append(reject_urls(10_000, "GET"))
    assert run("get", "x", "b") == 0
    assert Path("b").read_bytes() == large.read_bytes()
    assert capsys.readouterr().err == (
        "S3 is out of reach from here. Everything goes through the API, in chunks of at most 4 MiB.\n"
    )


def test_killed_service_ends_the_command_and_the_next_run_continues(
    run: Run, fake: FakeService, source: Path, capsys: Captured
) -> None:
    """A service that is gone: exit code 6 after `--retry-for`; when it is back, the same command sends the rest."""

    def kill() -> None:
        def fail(request: HttpRequest) -> None:
            raise TransportError("no connection to the server")

        fake.before.append(fail)

    fake.before.append(at_chunk(9, kill))
    assert run("put", "a", "x", "--retry-for", "0") == 6
    assert capsys.readouterr().err == (
        "ferry: No success for 0 seconds: no connection to the server. Run the same command again when the network is "
        "back; it continues where it stopped.\n"
    )
    line = put_again(run, fake, capsys)
    assert line["resumed_bytes"] >= MIB
    assert line["sent_bytes"] + line["resumed_bytes"] == SIZE


def test_service_that_is_away_for_a_while_is_waited_for(run: Run, fake: FakeService, source: Path) -> None:
    """Answers 503 and broken connections within `--retry-for`: exit code 0."""
    fake.before.append(fail_once(lambda request: "/upload/" in request.url, times=20))
    fake.before.append(at_chunk(3, lambda: HttpResponse(503, {"Retry-After": "5"})))
    assert run("put", "a", "x") == 0
    assert fake.files["x"].data == DATA


def test_full_quota_is_named(run: Run, fake: FakeService, source: Path, capsys: Captured) -> None:
    """A quota without room: exit code 8, in the words of the service."""
    detail = "The namespace has no room for 5,242,887 bytes."
    fake.before.append(
        lambda request: problem(403, "quota_exceeded", detail, quota="bytes") if "start" in request.url else None
    )
    assert run("put", "a", "x") == 8
    assert capsys.readouterr() == ("", f"ferry: {detail}\n")
