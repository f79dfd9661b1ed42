"""`ferry put`: which arguments are sources, and which names the files get."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from client.tests.commands import Run, run
from client.tests.fake_service import FakeService

__all__ = ["run"]

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def files(run: Run) -> None:
    """Make files and folders where `ferry` runs."""
    for name in ("a", "b", "c", "d/x", "e/y"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(name.encode())


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["a", "b"], {"b": b"a"}),
        (["a", "a"], {"a": b"a"}),
        (["a", "new"], {"new": b"a"}),
        (["a", "p/new"], {"p/new": b"a"}),
        (["a", "p/"], {"p/a": b"a"}),
        (["a", "d/"], {"d/a": b"a"}),
        (["a", "d/x"], {"d/x": b"a"}),
        (["a", "/"], {"a": b"a"}),
        (["a", "."], {"a": b"a"}),
        (["a", "./"], {"a": b"a"}),
        (["a", "b", "p/"], {"p/a": b"a", "p/b": b"b"}),
        (["a", "b", "/"], {"a": b"a", "b": b"b"}),
        (["d", "p/"], {"p/d/x": b"d/x"}),
        (["d", "e/"], {"e/d/x": b"d/x"}),
        (["d", "a", "/"], {"d/x": b"d/x", "a": b"a"}),
        (["d/x"], {"x": b"d/x"}),
        (["--", "a", "-n"], {"-n": b"a"}),
    ],
)
def test_put_gives_the_names_that_the_arguments_say(
    run: Run, fake: FakeService, arguments: list[str], names: dict[str, bytes]
) -> None:
    """The second of two arguments is the name, a last one that ends with `/` the prefix; files here do not matter."""
    assert run("put", *arguments) == 0
    assert {name: file.data for name, file in fake.files.items()} == names


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["a", "b", "c"], "ferry put a b c PREFIX/ sends them below a prefix, ferry put a b c / below none"),
        (["a", "b", "new"], "ferry put a b new/"),
        (["a", "d"], "ferry put a d/"),
        (["d", "e"], "ferry put d e/"),
        (["d", "new"], "ferry put d new/"),
        (["a", "-"], "ferry put a NAME"),
        (["-", "a", "p/"], "ferry put - NAME"),
        (["a", "-", "p/"], "ferry put - NAME"),
        (["-"], "ferry put - NAME"),
        (["-", "p/"], "ferry put - p/NAME"),
        (["a/", "p/"], "a is a file"),
    ],
)
def test_put_that_can_mean_two_things_is_rejected(
    run: Run, fake: FakeService, arguments: list[str], hint: str, capsys: Captured
) -> None:
    """Nothing is sent, and the error says what to type."""
    assert run("put", *arguments) == 2
    assert hint in capsys.readouterr().err
    assert not fake.files


def test_put_under_the_name_of_another_local_file_says_how_to_send_both(run: Run, capsys: Captured) -> None:
    """A pattern of the shell may have meant two sources: a note says what was done, and what sends both."""
    assert run("put", "a", "b") == 0
    assert capsys.readouterr().err == "a is sent as b. To send both files: ferry put a b /\n"
    assert run("put", "a", "a") == 0
    assert not capsys.readouterr().err


def test_put_of_many_files_without_a_prefix_names_few_of_them(run: Run, capsys: Captured) -> None:
    """The error of a long command line is short."""
    names = [f"file-{number}" for number in range(500)]
    assert run("put", *names) == 2
    error = capsys.readouterr().err
    assert "ferry put file-0 file-1 ..." in error
    assert len(error) < 400


def test_put_of_a_name_with_spaces_is_rejected_with_a_line_that_can_be_typed(run: Run, capsys: Captured) -> None:
    """What the error says to type is quoted for a shell."""
    Path("my files").mkdir()
    assert run("put", "a", "my files") == 2
    assert "ferry put a 'my files/'" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="this system has no symbolic links")
def test_put_of_a_link_to_nothing_says_so(run: Run, capsys: Captured) -> None:
    """The link is there, so `does not exist` would be wrong."""
    Path("link").symlink_to("nothing")
    assert run("put", "link") == 2
    assert "link is a symbolic link to nothing" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("command", [("put", "d", "p/"), ("sync", "d", "p/")])
def test_what_is_left_out_of_a_folder_is_named(run: Run, command: tuple[str, ...], capsys: Captured) -> None:
    """Symbolic links and pipes are not sent, and no error: a note names them, and how to send them."""
    for link, target in (("one", "x"), ("two", "../e"), ("broken", "nothing")):
        Path("d", link).symlink_to(target)
    os.mkfifo("d/pipe")
    assert run(*command) == 0
    advice = "--symlinks follow sends what it leads to, --symlinks keep the link itself."
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Left out")]
    assert lines == [
        f"Left out: d/one and 1 more (symbolic link). {advice}",
        "Left out: d/broken (symbolic link to nothing). --symlinks keep sends the link itself.",
        "Left out: d/pipe (pipe, socket or device). Only files are sent.",
    ]
    assert run(*command, "--symlinks", "keep", "--quiet") == 0
    assert not capsys.readouterr().err
