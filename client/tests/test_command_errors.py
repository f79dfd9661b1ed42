"""What the `ferry` command says and returns where the machine or the service is odd."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from client.tests.fake_responses import problem
from client.tests.fake_service import FakeService
from client.tests.test_command import Run, run
from ferry_client.transport import HttpRequest, HttpResponse

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


def test_rm_with_a_lost_answer_succeeds(run: Run, fake: FakeService) -> None:
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


def test_web_page_instead_of_an_answer_is_named(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """The login page of a network, or of another server, is no answer of the service."""
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
