"""How `ferry` ends: signals, closed streams, and what it says to go on."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.tests.commands import Run, run
from client.tests.fake_responses import problem
from client.tests.fake_service import FakeService
from ferry_client.cli import main as command
from ferry_client.cli.config import Profile, save_profile
from ferry_client.errors import CancelledError, UsageError
from ferry_client.options import ClientOptions
from ferry_client.transport import HttpRequest

__all__ = ["run"]

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _same_signals() -> Iterator[None]:
    """Give the process its handler of SIGTERM back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


GOES_ON = "ferry: stopped. Run the same command again: it continues where it stopped.\n"


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["put", "a", "x"], GOES_ON),
        (["get", "taken", "copy"], GOES_ON),
        (["sync", "d", "p/"], GOES_ON),
        (["spool", "d", "p/", "--settle", "0"], GOES_ON),
        (["mv", "taken", "moved"], GOES_ON),
        (["cat", "taken"], "ferry: stopped. The output is incomplete.\n"),
        (["get", "taken", "-"], "ferry: stopped. The output is incomplete.\n"),
        (["ls"], "ferry: stopped.\n"),
        (["doctor"], "ferry: stopped.\n"),
    ],
)
def test_signal_ends_a_command_with_130_and_says_how_to_go_on(
    run: Run, fake: FakeService, arguments: list[str], message: str, *, signal_number: int, capsys: Captured
) -> None:
    """Ctrl-C and the signal of `kill` end each command alike, without a traceback."""
    Path("a").write_bytes(b"a")
    Path("d").mkdir()
    Path("d/f").write_bytes(b"f")
    fake.put_file("taken", b"t")

    is_over = threading.Event()

    def stop(request: HttpRequest) -> None:
        if "/auth/" not in request.url:
            os.kill(os.getpid(), signal_number)
            is_over.wait(30)  # A thread of the transfer: the process would end now.
            raise CancelledError("the test is over")

    fake.before.append(stop)
    try:
        assert run(*arguments) == 130
    finally:
        is_over.set()
    assert capsys.readouterr().err.lstrip("\n") == message


def test_folder_that_is_not_deleted_after_all_is_no_interruption(
    run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """The answer `n` deletes nothing, and the message says that, not how to continue."""
    fake.put_file("p/a", b"a")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *arguments, **options: False)
    assert run("rm", "-r", "p/") == 1
    assert capsys.readouterr().err == "ferry: Nothing is deleted.\n"
    assert fake.files


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are closed by a POSIX shell")
@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ("--version >&-", 0, ""),
        ("--help 2>&- >&-", 0, ""),
        ("put - x --retry-for 0 <&-", 1, "ferry: The input cannot be read: Bad file descriptor.\n"),
        ("--version >/dev/full", 8, "ferry: standard output: No space left on device.\n"),
    ],
)
def test_command_without_standard_streams_ends_in_words(tmp_path: Path, line: str, code: int, error: str) -> None:
    """A closed stream is no crash: output to it is dropped, and input from it is an error."""
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(command.__file__).parents[2]),
        "FERRY_STATE_DIR": str(tmp_path),
        "FERRY_CONFIG_DIR": str(tmp_path),
        "FERRY_URL": "http://127.0.0.1:1",
        "FERRY_CLIENT_ID": "camera-7",
        "FERRY_CLIENT_SECRET": "s3cret",
    }
    program = "from ferry_client.cli.main import main; main()"
    result = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {line}', sys.executable, program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert (result.returncode, result.stderr) == (code, error)


def test_unknown_command_names_one_that_is_alike(run: Run, capsys: Captured) -> None:
    """A mistyped command is a usage error that names the one that was meant."""
    assert run("lst") == 2
    assert "No such command 'lst'. Did you mean ls?" in capsys.readouterr().err
    assert run("help") == 2
    assert "No such command 'help'." in capsys.readouterr().err


def test_line_break_in_a_local_name_makes_no_second_line(run: Run, capsys: Captured) -> None:
    """A name on the disk cannot write lines of its own into the output."""
    Path("one\nferry: two").write_bytes(b"x")
    assert run("put", "one\nferry: two", "x", "--dry-run") == 0
    assert run("put", "one\nferry: three") == 2
    captured = capsys.readouterr()
    assert captured.out == "one\\x0aferry: two -> x\n"
    assert captured.err == "ferry: one\\x0aferry: three does not exist.\n"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://[::1", "is not valid"),
        ("https://files.example.com:port", "is not valid"),
        ("https://", "is not valid"),
        ("https://camera:geheim@files.example.com", "user name and password"),
        ("files.example.com", "must begin with https://"),
    ],
)
def test_url_that_cannot_be_is_a_usage_error(
    run: Run, url: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """The error names the URL, but no password in it."""
    monkeypatch.setenv("FERRY_URL", url)
    assert run("ls") == 2
    error = capsys.readouterr().err
    assert text in error
    assert "geheim" not in error


def test_server_without_the_route_of_tokens_is_no_missing_file(run: Run, fake: FakeService, capsys: Captured) -> None:
    """A wrong URL leads to another server: its 404 for the login is not exit code 3."""
    fake.before.append(lambda request: problem(404, "not_found", "no") if "/auth/" in request.url else None)
    assert run("ls") == 6
    assert "Check the URL" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["cat", "p/"], ["stat", "p/"], ["stat", "p"], ["get", "p"], ["rm", "p"]])
def test_folder_in_place_of_a_file_says_what_to_type(
    run: Run, fake: FakeService, arguments: list[str], capsys: Captured
) -> None:
    """A folder's name where a file is needed differs from a name that is missing."""
    fake.put_file("p/a", b"a")
    assert run(*arguments) in (2, 3)
    error = capsys.readouterr().err
    assert "p/ is a folder" in error
    assert "ferry " in error.removeprefix("ferry: ")


def test_ls_of_nothing_says_so(run: Run, capsys: Captured) -> None:
    """An empty list is a success; a note tells it from a list that was not printed."""
    assert run("ls", "nope/") == 0
    captured = capsys.readouterr()
    assert not captured.out
    assert captured.err == "There are no files below nope/.\n"


@pytest.mark.parametrize("arguments", [["ls"], ["put", "a", "x"], ["share", "ls"], ["login", "https://x.test"]])
@pytest.mark.parametrize("is_option", [False, True])
def test_each_command_takes_own_certificate_authorities(
    run: Run, arguments: list[str], is_option: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--ca-file` and `FERRY_CA_FILE` reach the connection of each command."""
    Path("a").write_bytes(b"a")
    files: list[str | None] = []

    def remember(options: ClientOptions) -> None:
        files.append(options.ca_file)
        raise UsageError("enough")

    monkeypatch.setattr("ferry_client.transport.UrllibTransport", remember)
    if not is_option:
        monkeypatch.setenv("FERRY_CA_FILE", "own.pem")
    elif arguments[0] == "login":
        monkeypatch.setenv("FERRY_CLIENT_SECRET", "s3cret")
    assert run(*arguments, *(["--ca-file", "own.pem"] if is_option else [])) == 2
    assert files == ["own.pem"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_profile_that_others_can_read_is_named(run: Run, capsys: Captured) -> None:
    """The file has a secret: a note says how to hide it, until it is hidden."""
    path = save_profile(None, Profile("https://x.test", "camera-7", "s3cret"))
    path.chmod(0o644)
    assert run("ls") == 0
    error = capsys.readouterr().err
    assert f"Run: chmod 600 {path}" in error
    assert "s3cret" not in error
    path.chmod(0o600)
    assert run("ls") == 0
    assert "chmod" not in capsys.readouterr().err


def test_login_without_a_terminal_says_what_to_set(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """A script gets an error that names what to set."""
    monkeypatch.delenv("FERRY_CLIENT_ID")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert run("login", "https://x.test") == 2
    assert "There is no terminal to ask for the client id. Give it by --client-id." in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signal to one process")
def test_ctrl_c_does_not_wait_for_standard_input(tmp_path: Path) -> None:
    """A command whose input never comes ends, although a thread reads it."""
    code = "import ferry_client.workers as w, ferry_client.cli.transfers as t\n"
    code += "from ferry_client.cli.output import Output\n"
    code += "import os, signal, sys, threading, time\n"
    code += "def run(report): os.kill(os.getpid(), signal.SIGINT); return sys.stdin.buffer.read()\n"
    code += "started_at = time.monotonic()\n"
    code += "try: t.run_file_tasks([t.FileTask('x', 0, run)], Output(quiet=True), 1)\n"
    code += "except KeyboardInterrupt: os._exit(0 if time.monotonic() - started_at < w._MAX_END_SECONDS else 1)\n"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.wait(60) == 0
