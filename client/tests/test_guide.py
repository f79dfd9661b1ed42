"""The examples of the guide, of the SDK's page and of each help text are run, or at least parsed."""

from __future__ import annotations

import importlib
import inspect
import io
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from client.tests.commands import Run, run
from client.tests.fake_service import FakeService
from client.tests.pipes import Pipe
from ferry_client.cli.group import COMMANDS
from ferry_client.options import ClientOptions

__all__ = ["run"]

DOCS = Path(__file__).parents[2] / "docs"

FILES = ("video.mp4", "photos/1.jpg", "photos/2.jpg", "report.pdf", "archive/a", "spool/frame.jpg")


def guide_lines() -> Iterator[str]:
    """Yield the lines of the guide that run `ferry`."""
    text = (DOCS / "client.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from (line for line in block.splitlines() if "ferry " in line and not line.startswith("pipx"))


def arguments_of(line: str) -> list[str]:
    """Return the arguments of the last `ferry` of a line of the shell."""
    words = shlex.split(line, comments=True)
    return words[len(words) - words[::-1].index("ferry") :]


@pytest.fixture
def guide(run: Run, fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a line of the guide in a folder with its files."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    fake.put_file("report.pdf", b"another report")
    monkeypatch.setenv("FERRY_LINK_PASSWORD", "correct horse")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Pipe(b"what a program writes"))))

    def run_line(*lines: str) -> int:
        (line,) = lines
        if line.startswith("ferry sync backup/"):
            fake.put_file("backup/photos/1.jpg", b"1")
        arguments = [word.replace("/var/spool/camera", "spool") for word in arguments_of(line)]
        return run(*arguments, *(("--once", "--settle", "0") if arguments[0] == "spool" else ()))

    return run_line


@pytest.mark.parametrize("line", list(guide_lines()))
def test_line_of_the_guide_works(guide: Run, line: str) -> None:
    """Each line ends with exit code 0, as it stands there."""
    assert guide(line) == 0


def test_guide_has_lines() -> None:
    """The lines are found: each subcommand that the guide is about has one."""
    commands = {arguments_of(line)[0] for line in guide_lines()}
    assert {"login", "doctor", "put", "sync", "share", "spool"} <= commands


def python_blocks(path: Path) -> list[str]:
    """Return the programs of a page."""
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def run_page(fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Return a function that runs the programs of a page one after another, as in a notebook."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERRY_CLIENT_SECRET", "s3cret")
    monkeypatch.setattr("ferry_client.transport.UrllibTransport", lambda options: fake)
    Path("video.mp4").write_bytes(b"hello")

    def run_blocks(path: Path) -> None:
        variables: dict[str, object] = {}
        for program in python_blocks(path):
            code = compile(program.replace("/var/lib/camera", str(tmp_path / "state")), path.name, "exec")
            exec(code, variables)  # noqa: S102 - of this project

    return run_blocks


def test_programs_of_the_sdk_page_work(
    run_page: Callable[[Path], None], fake: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each program of the page runs as it stands, and prints what the page says."""
    run_page(DOCS / "client-sdk.md")
    assert fake.files["videos/copy.mp4"].data == b"hello"
    assert fake.files["logs/today"].data == b"a line"
    assert Path("copy.mp4").read_bytes() == b"hello"
    output = capsys.readouterr().out
    for text in ("videos/video.mp4 5\n", "{'notes/none': 'not_found'}", "file_exists r-1", "There is no file missing."):
        assert text in output


def test_program_of_the_readme_works(run_page: Callable[[Path], None], fake: FakeService) -> None:
    """The program of the package's own page."""
    run_page(Path(__file__).parents[1] / "README.md")
    assert fake.files["videos/video.mp4"].data == b"hello"
    assert Path("copy.mp4").read_bytes() == b"hello"


def test_sdk_page_has_every_option() -> None:
    """The table of options has each field of `ClientOptions`, and no other."""
    page = (DOCS / "client-sdk.md").read_text(encoding="utf-8")
    table = page.partition("| option | default | meaning |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [field.name for field in fields(ClientOptions)]


def help_examples() -> Iterator[tuple[str, click.Command, list[str]]]:
    """Yield the examples of all help texts, with the commands that they belong to."""
    for name in sorted(COMMANDS):
        command = importlib.import_module(f"ferry_client.cli.{name}").command
        commands = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
        for documented in commands:
            for line in inspect.cleandoc(documented.help or "").splitlines():
                if re.search(rf"(^|\| )ferry {name}\b", line.strip()):
                    yield line.strip(), command, arguments_of(re.sub(r" [|>] (?!ferry).*", "", line))[1:]


@pytest.mark.parametrize(("line", "command", "arguments"), list(help_examples()), ids=lambda value: str(value)[:40])
def test_example_of_a_help_text_has_options_that_exist(line: str, command: click.Command, arguments: list[str]) -> None:
    """Each example is parsed: an option that was renamed, or a wrong number of arguments, is an error."""
    assert f"ferry {command.name}" in line
    if isinstance(command, click.Group):
        is_named = arguments[0] in command.commands
        command = command.commands[arguments[0] if is_named else "create"]
        arguments = arguments[is_named:]
    command.make_context(str(command.name), list(arguments))
