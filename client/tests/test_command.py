"""The `ferry` command: its output and exit codes, against a service in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from client.tests.commands import Run, json_lines, run
from client.tests.fake_responses import problem
from client.tests.fake_service import FakeService
from ferry_client.cli import main as command
from ferry_client.cli.config import Profile, config_path, load_profile, save_profile
from ferry_client.cli.group import COMMANDS
from ferry_client.errors import UsageError
from ferry_client.transport import TransportError

__all__ = ["run"]


def test_put_and_get_move_a_file(
    run: Run, fake: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file goes up and comes down; standard output has one line each."""
    (tmp_path / "a.txt").write_bytes(b"hello")
    assert run("put", "a.txt", "texts/") == 0
    assert fake.files["texts/a.txt"].data == b"hello"
    assert run("get", "texts/a.txt", "b.txt") == 0
    assert (tmp_path / "b.txt").read_bytes() == b"hello"
    assert capsys.readouterr().out == "texts/a.txt 5 B\nb.txt 5 B\n"


def test_put_of_a_folder_sends_every_file(run: Run, fake: FakeService, tmp_path: Path) -> None:
    """A folder's files get its name as prefix; with `/.` they do not."""
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f").write_bytes(b"f")
    assert run("put", "d") == 0
    assert run("put", "d/.", "p/") == 0
    assert sorted(fake.files) == ["d/e/f", "p/e/f"]


def test_put_json_says_what_was_sent(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json` each result is one JSON line."""
    (tmp_path / "a").write_bytes(b"hello")
    assert run("put", "a", "--json") == 0
    (line,) = json_lines(capsys.readouterr().out)
    assert (line["filename"], line["size"], line["sent_bytes"], line["resumed_bytes"]) == ("a", 5, 5, 0)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["put", "missing"], 2),
        (["get", "nope"], 3),
        (["stat", "nope"], 3),
        (["put", "a", "taken"], 5),
        (["get", "x", "--limit-rate", "fast"], 2),
        (["frobnicate"], 2),
        (["rm", "folder/"], 2),
        (["mv", "nope", "x"], 3),
        (["restore", "nope"], 3),
    ],
)
def test_exit_code_names_the_failure(
    run: Run, fake: FakeService, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each failure has its exit code, and a message on standard error alone."""
    Path("a").write_bytes(b"hello")
    fake.put_file("taken", b"t")
    assert run(*arguments) == code
    captured = capsys.readouterr()
    assert captured.err
    assert not captured.out


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (problem(401, "invalid_client", "no"), 4),
        (problem(403, "insufficient_scope", "no"), 4),
        (problem(403, "quota_exceeded", "full"), 8),
        (problem(400, "checksum_mismatch", "no"), 1),
    ],
)
def test_exit_code_of_a_rejection(run: Run, fake: FakeService, tmp_path: Path, fault: Any, code: int) -> None:
    """The service's rejections have fixed exit codes."""
    (tmp_path / "a").write_bytes(b"hello")
    fake.before.append(lambda request: fault if request.method == "PUT" else None)
    assert run("put", "a") == code


def test_exit_code_of_a_lost_network_is_6(run: Run, fake: FakeService, tmp_path: Path) -> None:
    """A network that does not come back within `--retry-for` is code 6, and the message says how to go on."""
    (tmp_path / "a").write_bytes(b"hello")

    def fail(request: object) -> None:
        raise TransportError("the connection broke")

    fake.before.append(fail)
    assert run("put", "a", "--retry-for", "0") == 6


def test_put_of_several_files_goes_on_after_a_failure(
    run: Run, fake: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One taken name does not stop the others; the exit code is 1."""
    fake.put_file("p/a", b"taken")
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
    assert run("put", "a", "b", "c", "p/") == 1
    assert fake.files["p/c"].data == b"c"
    assert "1 of 3 files failed" in capsys.readouterr().err


def test_quiet_still_shows_errors(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """`--quiet` silences progress, never errors."""
    assert run("get", "nope", "--quiet") == 3
    assert "nope" in capsys.readouterr().err


def test_ls_shows_folders_once(run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    """Folders and files of one level, in order; `-r` lists all."""
    for name in ("p/a", "p/f/1", "p/f/2", "q"):
        fake.put_file(name, b"x")
    assert run("ls", "p/") == 0
    assert capsys.readouterr().out == "p/a\np/f/\n"
    assert run("ls", "-r", "p/") == 0
    assert capsys.readouterr().out == "p/a\np/f/1\np/f/2\n"


def test_rm_of_a_folder_needs_confirmation(run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal, a folder is deleted with `--yes` only; `--dry-run` deletes nothing."""
    fake.put_file("p/a", b"x")
    assert run("rm", "-r", "p/", "--dry-run") == 0
    assert run("rm", "-r", "p/") == 2
    assert "p/a" in fake.files
    assert run("rm", "-r", "p/", "--yes") == 0
    assert not fake.files
    assert run("restore", "p/a") == 0
    assert fake.files["p/a"].data == b"x"
    assert "--yes" in capsys.readouterr().err


def test_mv_of_a_folder_moves_each_file(run: Run, fake: FakeService) -> None:
    """A folder is renamed file by file."""
    for name in ("p/a", "p/b/c", "q"):
        fake.put_file(name, name.encode())
    assert run("mv", "p/", "r/") == 0
    assert sorted(fake.files) == ["q", "r/a", "r/b/c"]
    assert run("mv", "r/", "r/s/") == 2


def test_mv_of_a_folder_lists_what_stays_and_continues(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """A taken name stays and is listed at the end; the same command again moves what is left, and nothing twice."""
    for number in range(5):
        fake.put_file(f"p/{number}", f"{number}".encode())
    fake.put_file("r/3", b"taken")
    assert run("mv", "p/", "r/") == 1
    assert sorted(fake.files) == ["p/3", "r/0", "r/1", "r/2", "r/3", "r/4"]
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 4
    first, summary, last = captured.err.splitlines()
    assert first == "ferry: p/3: r/3 exists. Choose another name, or --replace (in Python: replace=True)."
    assert last == "ferry: 1 of 5 files failed: p/3"
    assert summary.startswith("4 of 5 files done in ")
    assert run("mv", "p/", "r/", "--replace") == 0
    assert fake.files["r/3"].data == b"3"
    assert run("mv", "p/", "r/") == 3
    assert capsys.readouterr().err == "ferry: There are no files below p/.\n"


def test_mv_whose_repetition_would_move_files_twice_is_rejected(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """`a/b/b/x` would become `a/b/x`, which a continued run would take for one that is left."""
    for name in ("a/b/b/x", "a/b/y"):
        fake.put_file(name, b"")
    assert run("mv", "a/b/", "a/") == 2
    assert capsys.readouterr().err == (
        "ferry: a/b/b/x would become a/b/x, which is below a/b/ again. Move this file elsewhere first.\n"
    )
    assert sorted(fake.files) == ["a/b/b/x", "a/b/y"]


def test_get_of_a_prefix_reports_what_the_disk_cannot_hold(
    run: Run, fake: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`a` beside `a/b`: one is an error, the rest is fetched, nothing is overwritten."""
    for name in ("p/a", "p/a/b", "p/c"):
        fake.put_file(name, name.encode())
    assert run("get", "p/", "out") == 1
    assert (tmp_path / "out" / "a").read_bytes() == b"p/a"
    assert (tmp_path / "out" / "c").read_bytes() == b"p/c"
    assert "p/a/b" in capsys.readouterr().err


def test_sync_makes_the_sides_alike(run: Run, fake: FakeService, tmp_path: Path) -> None:
    """Up, then down to another folder: the same files and bytes."""
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f").write_bytes(b"f")
    fake.put_file("p/gone", b"g")
    assert run("sync", "d", "p/", "--dry-run", "--delete") == 0
    assert "p/gone" in fake.files
    assert run("sync", "d", "p/", "--delete") == 0
    assert list(fake.files) == ["p/e/f"]
    assert run("sync", "p/", "back") == 0
    assert (tmp_path / "back" / "e" / "f").read_bytes() == b"f"


def test_profile_file_is_private_and_survives_odd_values(run: Run) -> None:
    """The configuration file is readable by its owner alone; quotes and line breaks survive."""
    profile = Profile("https://x.test", 'a"b\\c', "line\nbreak\x7f")
    path = save_profile("odd", profile)
    assert path == config_path()
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_profile("odd") == profile
    assert "line" not in repr(profile)


def test_missing_profile_says_how_to_create_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown profile, or no login at all, says what to run."""
    with pytest.raises(UsageError, match="ferry login"):
        load_profile("nope")
    monkeypatch.delenv("FERRY_CLIENT_SECRET")
    with pytest.raises(UsageError, match="FERRY_CLIENT_SECRET"):
        load_profile(None)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_of_each_command_has_examples(name: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Each subcommand's help shows at least one example line."""
    assert run(name, "--help") == 0
    assert f"ferry {name}" in capsys.readouterr().out


def test_version_imports_no_command() -> None:
    """`ferry --version` runs without click."""
    program = (
        "import sys; sys.argv[1:] = ['--version']\n"
        "from ferry_client.cli.main import main\n"
        "try: main()\n"
        "finally: print('click' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(command.__file__).parents[2])}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert result.stdout.endswith("False\n")
