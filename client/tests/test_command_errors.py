"""What the `ferry` command says and returns where the machine or the service is odd."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from client.tests.commands import Run, run
from client.tests.fake_responses import problem
from client.tests.fake_service import FakeService
from ferry_client.retries import CONTINUE_ADVICE
from ferry_client.transport import HttpRequest, HttpResponse, TransportError

__all__ = ["run"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_put_of_a_pipe_is_rejected(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A named pipe is no file: the message says what to do instead of waiting for ever."""
    os.mkfifo(tmp_path / "pipe")
    assert run("put", "pipe", "x") == 2
    assert "ferry put - NAME" in capsys.readouterr().err


def test_put_of_a_name_that_is_not_unicode_fails_for_that_file_alone(
    run: Run, fake: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that is not UTF-8 is an error of that file; the others are sent."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / os.fsdecode(b"bad\xff")).write_bytes(b"x")
    (tmp_path / "d" / "good").write_bytes(b"y")
    assert run("put", "d") == 1
    assert list(fake.files) == ["d/good"]
    assert "UTF-8" in capsys.readouterr().err


def test_put_of_twins_fails_for_one_alone(run: Run, fake: FakeService, tmp_path: Path) -> None:
    """Two names that are one in form C: the first is sent, the second is an error."""
    (tmp_path / "d").mkdir()
    for name in ("e\u0301", "\u00e9", "z"):
        (tmp_path / "d" / name).write_bytes(name.encode())
    assert run("put", "d") == 1
    assert sorted(fake.files) == ["d/z", "d/\u00e9"]
    assert run("sync", "d", "s/") == 1
    assert sorted(fake.files) == ["d/z", "d/\u00e9", "s/z", "s/\u00e9"]


def test_get_below_a_file_says_so(run: Run, fake: FakeService, tmp_path: Path) -> None:
    """A folder that cannot be made is an error in words, not a traceback."""
    fake.put_file("x", b"x")
    (tmp_path / "file").touch()
    assert run("get", "x", "file/y") == 1


def test_rm_of_a_missing_name_among_others_is_reported(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name without a file is no success."""
    fake.put_file("a", b"a")
    assert run("rm", "a", "nope") == 1
    captured = capsys.readouterr()
    assert captured.out == "deleted a\n"
    assert "nope" in captured.err


def test_rm_with_a_lost_response_succeeds(run: Run, fake: FakeService) -> None:
    """The file is gone after the repetition: that is what was asked for."""
    fake.put_file("a", b"a")
    lost = [True]

    def lose(request: HttpRequest) -> HttpResponse | None:
        if request.method == "DELETE" and lost.pop():
            lost.append(False)
            return HttpResponse(503, {})
        return None

    fake.after.append(lose)
    assert run("rm", "a") == 0


def test_web_page_instead_of_a_response_is_named(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """The login page of a network, or of another server, is no response of the service."""
    fake.before.append(lambda request: HttpResponse(200, {"Content-Type": "text/html"}, b"<html>"))
    assert run("ls", "--retry-for", "0") == 6
    assert "login page" in capsys.readouterr().err


def test_members_that_the_service_rejects_are_named(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """A 422 says which member is wrong, and is a usage error."""
    errors = [{"loc": ["body", "to"], "msg": "is bad"}]
    fake.before.append(
        lambda request: problem(422, "invalid_request", "Not valid.", errors=errors) if "move" in request.url else None
    )
    fake.put_file("a", b"a")
    assert run("mv", "a", "b") == 2
    assert "to is bad" in capsys.readouterr().err


def test_state_folder_that_cannot_be_written_costs_the_cache_alone(run: Run, tmp_path: Path) -> None:
    """Sync works without a state folder."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_bytes(b"a")
    os.environ["FERRY_STATE_DIR"] = "/proc/nope"
    assert run("sync", "d", "p/") == 0


def test_environment_url_is_not_given_the_saved_secret(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that was saved for one service is not sent to another that FERRY_URL names."""
    from ferry_client.cli.config import Profile, load_profile, save_profile
    from ferry_client.errors import UsageError

    save_profile(None, Profile("https://one.test", "id", "secret"))
    monkeypatch.delenv("FERRY_CLIENT_ID")
    monkeypatch.delenv("FERRY_CLIENT_SECRET")
    monkeypatch.setenv("FERRY_URL", "https://two.test")
    with pytest.raises(UsageError, match="FERRY_CLIENT_SECRET"):
        load_profile(None)
    monkeypatch.setenv("FERRY_URL", "https://one.test/")
    assert load_profile(None).client_secret == "secret"


def test_results_stay_on_standard_output_beside_a_progress_display(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With a terminal on standard error alone, results still go to standard output."""
    (tmp_path / "a").write_bytes(b"hello")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run("put", "a") == 0
    assert capfd.readouterr().out == "a 5 B\n"


def test_dumb_terminal_gets_lines(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that cannot move its cursor gets plain lines."""
    from ferry_client.cli.display import LineDisplay
    from ferry_client.cli.output import Output

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(Output().transfers(1, 0), LineDisplay)


@pytest.mark.parametrize(
    "arguments", [["put", ""], ["put", "a", ""], ["get", ""], ["sync", "", "p/"], ["rm", "-r", ""], ["share", ""]]
)
def test_empty_argument_is_a_usage_error(
    run: Run, fake: FakeService, tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`ferry put "$FILE"` with an unset variable sends no whole folder, and fetches nothing."""
    (tmp_path / "a").write_bytes(b"a")
    fake.put_file("x", b"x")
    assert run(*arguments) == 2
    assert capsys.readouterr().err == "ferry: An argument is empty. Is a variable of the shell not set?\n"
    assert list(fake.files) == ["x"]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("arguments", [["get", "nope/"], ["get", "nope/", "-"], ["rm", "-r", "nope/", "--yes"]])
def test_prefix_without_files_is_not_found(run: Run, fake: FakeService, arguments: list[str]) -> None:
    """A mistyped prefix is an error."""
    fake.put_file("x", b"x")
    assert run(*arguments) == 3


def test_slash_alone_is_everything(run: Run, fake: FakeService, tmp_path: Path) -> None:
    """`/` is the whole namespace, as a source and as a target."""
    fake.put_file("p/x", b"x")
    assert run("get", "/", "all") == 0
    assert (tmp_path / "all" / "p" / "x").read_bytes() == b"x"
    (tmp_path / "a").write_bytes(b"a")
    assert run("put", "a", "/") == 0
    assert sorted(fake.files) == ["a", "p/x"]


def test_names_change_no_terminal(
    run: Run, fake: FakeService, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Control characters and bytes that are no text are shown as escapes, on both streams."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "evil\x1b[2J\x9b").write_bytes(b"x")
    fake.before.append(lambda request: problem(422, "invalid_filename", "Bad.") if request.method == "PUT" else None)
    fake.put_file("x", b"x")
    assert run("put", "d") == 2
    assert run("get", "x", os.fsdecode(b"bad\xff")) == 0
    captured = capfd.readouterr()
    assert captured.err == "ferry: Bad.\n"
    assert captured.out == "bad\\xff 1 B\n"
    (tmp_path / "d" / "evil\x1b[2J").write_bytes(b"x")
    assert run("put", "d") == 1
    assert "\x1b" not in capfd.readouterr().err


def test_message_of_the_service_is_said_once(run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    """A detail that repeats the error of the member is not repeated."""
    detail = "A segment is empty. Remove it."
    errors = [{"loc": ["query", "filename"], "msg": detail}, {"loc": ["body", "to"], "msg": "is bad"}]
    fake.before.append(
        lambda request: problem(422, "invalid_filename", detail, errors=errors) if request.method == "DELETE" else None
    )
    assert run("rm", "a") == 2
    assert capsys.readouterr().err == "ferry: A segment is empty. Remove it. to is bad.\n"


def test_sync_from_a_mistyped_folder_deletes_nothing(
    run: Run, fake: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A source that is neither here nor there is an error: taken as an empty prefix, it would make the target empty."""
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "a").write_bytes(b"a")
    assert run("sync", "phtos/", "backup/", "--delete") == 3
    assert capsys.readouterr().err == (
        "ferry: There is no folder phtos/ here, and there are no files below phtos/ on the service. Check the name, or "
        "say which way: --up or --down.\n"
    )
    assert (tmp_path / "backup" / "a").exists()
    assert run("sync", "phtos/", "backup/", "--delete", "--down") == 0
    assert not (tmp_path / "backup" / "a").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mv", "a", "b"], "ferry: b exists. Choose another name, or --replace (in Python: replace=True).\n"),
        (
            ["restore", "a"],
            "ferry: a exists. Choose --if-exists replace or rename (in Python: if_exists).\n",
        ),
        (
            ["restore", "a", "--to", "b"],
            "ferry: b exists. Choose --if-exists replace or rename (in Python: if_exists).\n",
        ),
    ],
    ids=["mv", "restore", "restore --to"],
)
def test_change_to_a_taken_name_names_the_option(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """The message says what this command takes, not what the service's API does."""
    fake.put_file("a", b"1")
    fake.put_file("b", b"2")

    def respond(request: HttpRequest) -> HttpResponse | None:
        if request.url.endswith(("/files/move", "/files/restore")):
            return problem(409, "file_exists", "A file with this name exists. Send if_exists: replace to replace it.")
        return None

    fake.before.append(respond)
    assert run(*arguments) == 5
    assert capsys.readouterr().err == message


UNKNOWN = "the name ferry.tset does not resolve (check the URL and this machine's DNS)"


def fail_with_unknown_name(fake: FakeService, times: int) -> None:
    """Make so many requests fail, as those to a host that the name server does not know."""
    left = [times]

    def fail(request: HttpRequest) -> None:
        del request
        left[0] -= 1
        if left[0] >= 0:
            raise TransportError(UNKNOWN, is_unknown_name=True)

    fake.before.append(fail)


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls"],
        ["stat", "x"],
        ["status"],
        ["rm", "x"],
        ["restore", "x"],
        ["cancel", "x"],
        ["share", "ls"],
        ["login", "https://ferry.tset"],
    ],
)
def test_unknown_host_ends_a_short_command_at_once(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """A mistyped host is no lost network: one error with the name, without the advice to continue."""
    fail_with_unknown_name(fake, 1)
    assert run(*arguments) == 6
    assert capsys.readouterr().err == f"ferry: No connection: {UNKNOWN}.\n"


@pytest.mark.parametrize("arguments", [["put", "a", "--jobs", "1"], ["ls", "--retry-for", "15m"]])
def test_unknown_host_is_tried_again_and_said_once(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """A device starts before its network does: the first failure is said with the time until which it is repeated."""
    Path("a").write_bytes(b"hello")
    fail_with_unknown_name(fake, 8)
    assert run(*arguments) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "There are no" not in line]
    until = r"Trying again until \d\d:\d\d:\d\d; Ctrl-C stops, --retry-for sets how long\."
    assert re.fullmatch(rf"{re.escape(UNKNOWN)}\. {until}", line), line


@pytest.mark.parametrize(("arguments", "is_continued"), [(["put", "a"], True), (["ls"], False)])
def test_lost_network_advises_to_continue_what_can_be_continued(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str], arguments: list[str], *, is_continued: bool
) -> None:
    """A transfer continues; a list has nothing to continue."""
    Path("a").write_bytes(b"hello")
    fail_with_unknown_name(fake, 100)
    assert run(*arguments, "--retry-for", "0") == 6
    advice = f" {CONTINUE_ADVICE}" if is_continued else ""
    assert capsys.readouterr().err == f"ferry: No success for 0 seconds: {UNKNOWN}.{advice}\n"
