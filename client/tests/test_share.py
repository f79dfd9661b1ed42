"""`ferry share`, and `Ferry.links`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from client.tests.commands import Run, json_lines, run
from client.tests.fake_service import FakeService
from ferry_client.cli.output import Output
from ferry_client.client import Ferry
from ferry_client.errors import NotFoundError, UsageError

__all__ = ["run"]


def created(fake: FakeService) -> dict[str, Any]:
    """Return the members of the last creation."""
    request = next(request for request in reversed(fake.requests) if request.url.endswith("/links"))
    assert request.body is not None
    members: dict[str, Any] = json.loads(b"".join(request.body.blocks(lambda: 1000)))
    return members


@pytest.mark.parametrize(
    ("arguments", "members"),
    [
        (["a"], {"kind": "download", "filename": "a"}),
        (["create", "a"], {"kind": "download", "filename": "a"}),
        (["p/"], {"kind": "download", "prefix": "p/"}),
        (["a", "--expires", "2h", "--label", "For you"], {"expires_in": 7200, "label": "For you"}),
        (["a", "--max-downloads", "3"], {"max_downloads": 3}),
        (["a", "--max-downloads", "unlimited"], {"max_downloads": None}),
        (["--upload"], {"kind": "upload"}),
        (
            ["--upload", "in/", "--max-files", "2", "--max-bytes", "1G"],
            {"prefix": "in/", "max_files": 2, "max_bytes": 2**30},
        ),
    ],
)
def test_share_sends_what_was_asked_for(
    run: Run, fake: FakeService, arguments: list[str], members: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each option reaches the service; what is not given is left to its defaults; the address is written once."""
    fake.put_file("a", b"hello")
    assert run("share", *arguments) == 0
    sent = created(fake)
    assert {name: sent[name] for name in members} == members
    assert None not in {value for name, value in sent.items() if name != "max_downloads"}
    captured = capsys.readouterr()
    assert captured.out == f"https://ferry.test/l/secret-of-{fake.links[0]['link_id']}\n"
    assert f"ferry share revoke {fake.links[0]['link_id']}" in captured.err
    assert "secret-of" not in captured.err


def test_share_json_has_the_link(run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json` the link is one line, its address included."""
    fake.put_file("a", b"hello")
    assert run("share", "a", "--json") == 0
    (line,) = json_lines(capsys.readouterr().out)
    assert (line["kind"], line["filename"], line["max_downloads"], line["password"]) == ("download", "a", 1000, False)
    assert line["url"].startswith("https://ferry.test/l/")


def test_share_reads_the_password_from_a_descriptor_or_the_environment(
    run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The password is no argument, and appears nowhere but in the request."""
    fake.put_file("a", b"hello")
    reader, writer = os.pipe()
    os.write(writer, b"correct horse\nmore")
    os.close(writer)
    assert run("share", "a", "--password-fd", str(reader)) == 0
    os.close(reader)
    assert created(fake)["password"] == "correct horse"
    monkeypatch.setenv("FERRY_LINK_PASSWORD", "battery staple")
    assert run("share", "a") == 0
    assert created(fake)["password"] == "battery staple"
    captured = capsys.readouterr()
    assert ", password. End it" in captured.err
    assert "horse" not in captured.out + captured.err
    assert "staple" not in captured.out + captured.err


def test_share_asks_for_the_password_on_a_terminal(
    run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--password` asks twice, without showing what is typed."""
    fake.put_file("a", b"hello")
    asked: dict[str, Any] = {}

    def prompt(text: str, **options: Any) -> str:
        asked.update(options)
        return "correct horse"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.prompt", prompt)
    assert run("share", "a", "--password") == 0
    assert created(fake)["password"] == "correct horse"
    assert asked == {"hide_input": True, "confirmation_prompt": True, "err": True}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["create"], (2, "Name a file or a folder: ferry share NAME. A link for uploads: ferry share --upload")),
        (["nope"], (3, "There is no such file.")),
        (["--upload", "in"], (2, "Files are uploaded into a folder: its name must end with /, as in in/.")),
        (
            ["--upload", "--max-downloads", "1"],
            (2, "An upload link has no downloads. Limit it by --max-files and --max-bytes."),
        ),
        (
            ["a", "--max-files", "1"],
            (2, "--max-files and --max-bytes limit a link with --upload. Limit downloads by --max-downloads."),
        ),
        (
            ["a", "--password"],
            (2, "There is no terminal to ask for a password. Use --password-fd, or set FERRY_LINK_PASSWORD."),
        ),
        (["a", "--password-fd", "999"], (2, "Descriptor 999 cannot be read: Bad file descriptor.")),
        (["revoke", "nope"], (3, "There is no such link.")),
        (["activity", "nope"], (3, "There is no such link.")),
    ],
)
def test_share_that_cannot_be_says_why(
    run: Run, fake: FakeService, arguments: list[str], expected: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What does not fit is named, with what to write instead, and no link is created."""
    fake.put_file("a", b"hello")
    code, message = expected
    assert run("share", *arguments) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"ferry: {message}\n")
    assert not fake.links


@pytest.mark.parametrize("arguments", [["a", "--max-downloads", "few"], ["--upload", "--max-bytes", "0"]])
def test_share_limit_that_is_none_is_a_usage_error(run: Run, fake: FakeService, arguments: list[str]) -> None:
    """A limit that cannot be read is no missing limit."""
    fake.put_file("a", b"hello")
    assert run("share", *arguments) == 2
    assert not fake.links


def test_share_ls_shows_all_links_and_no_address(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every page is listed; the secret is shown at the creation alone."""
    fake.put_file("a", b"hello")
    for arguments in (["a"], ["p/", "--max-downloads", "unlimited", "--label", "Trip"], ["--upload", "in/"]):
        assert run("share", *arguments, "--quiet") == 0
    ids = [link["link_id"] for link in fake.links]
    capsys.readouterr()
    assert run("share", "revoke", ids[2]) == 0
    assert run("share", "ls") == 0
    until = "until 2026-01-09T03:04"
    assert capsys.readouterr().out.splitlines() == [
        f"revoked {ids[2]}",
        f"{ids[0]}  active    {until}  upload to in/, 0 of 1000 files (0 B of 100.0 GiB)",
        f"{ids[1]}  active    {until}  download p/, downloads unlimited  Trip",
        f"{ids[2]}  revoked   {until}  download a, 0 of 1000 downloads",
    ]


def test_share_activity_shows_who_fetched_what(run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each event, with the network that it came from."""
    fake.put_file("a", b"hello")
    assert run("share", "a", "--quiet") == 0
    capsys.readouterr()
    assert run("share", "activity", fake.links[0]["link_id"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2026-01-03T00:00:00  wrong_password  192.0.2.0/24",
        "2026-01-02T04:00:00  download        192.0.2.0/24  a  5 B",
    ]


def test_links_have_typed_results(connect: Callable[..., Ferry], fake: FakeService) -> None:
    """The SDK creates, lists and ends links. The address is in no repr."""
    fake.put_file("a", b"hello")
    links = connect().links
    link = links.create_download(filename="a", password="correct horse", max_downloads=2)
    assert (link.kind, link.filename, link.max_downloads, link.has_password) == ("download", "a", 2, True)
    assert link.url
    assert link.url not in repr(link)
    assert links.create_upload(max_files=3).prefix == f"uploads/{fake.links[0]['link_id']}/"
    assert [entry.max_files for entry in links.list()] == [3, None]
    assert [entry.action for entry in links.activity(link.link_id)] == ["wrong_password", "download"]
    links.revoke(link.link_id)
    assert links.get(link.link_id).state == "revoked"
    assert links.get(link.link_id).url is None
    with pytest.raises(NotFoundError):
        links.get("nope")
    with pytest.raises(UsageError, match="either filename or prefix"):
        links.create_download()


def modules_of(text: str) -> list[list[int]]:
    """Return the gray levels of the modules that half blocks show, each three times in both directions."""
    upper_and_lower = {" ": (255, 255), "▄": (255, 0), "▀": (0, 255), "█": (0, 0)}
    rows: list[list[int]] = []
    for line in re.findall(r"^(?:\x1b\[30;107m)?([ ▄▀█]{20,})(?:\x1b\[0m)?$", text, re.MULTILINE):
        for half in range(2):
            rows += [[upper_and_lower[character][half] for character in line for _ in range(3)]] * 3
    return rows


@pytest.mark.parametrize(
    "case",
    [({}, True, True), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, True, False), ({}, False, False)],
    ids=["terminal", "NO_COLOR", "dumb", "file"],
)
def test_qr_code_of_a_link_reads_as_the_link(
    run: Run,
    fake: FakeService,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[dict[str, str], bool, bool],
) -> None:
    """`--qr` shows the address as a code that a camera reads, on standard error, with colors where they are allowed;
    standard output has the link alone.
    """
    zxingcpp = pytest.importorskip("zxingcpp")
    environment, terminal, has_colors = case
    fake.put_file("a", b"hello")
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for variable, value in {"TERM": "xterm", "COLUMNS": "80", **environment}.items():
        monkeypatch.setenv(variable, value)
    assert run("share", "a", "--qr") == 0
    captured = capsys.readouterr()
    assert ("\x1b" in captured.err) is has_colors
    rows = modules_of(captured.err)
    gray = bytes(level for row in rows for level in row)
    found = zxingcpp.read_barcodes(memoryview(gray).cast("B", shape=[len(rows), len(rows[0])]))
    assert [code.text for code in found] == [captured.out.rstrip()]


@pytest.mark.parametrize(
    "case",
    [
        ([], True, 80, True),
        (["--no-qr"], True, 80, False),
        (["--json"], True, 80, False),
        (["--quiet"], True, 80, False),
        ([], False, 80, False),
        ([], True, 20, False),
    ],
    ids=["terminal", "--no-qr", "--json", "--quiet", "pipe", "narrow"],
)
def test_qr_code_is_shown_on_a_terminal(
    run: Run,
    fake: FakeService,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[list[str], bool, int, bool],
) -> None:
    """Programs, pipes, quiet runs and narrow terminals get no code."""
    options, terminal, columns, is_shown = case
    fake.put_file("a", b"hello")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert run("share", "a", *options) == 0
    shown = capsys.readouterr().err
    assert bool(modules_of(shown)) is is_shown
    assert ("too narrow" in shown) is (columns == 20)


def test_terminal_without_block_characters_gets_a_note(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locale without block characters is named; the link is written nevertheless."""
    fake.put_file("a", b"hello")

    def fail(self: Output, lines: list[str]) -> None:
        "".join(lines).encode("ascii")

    monkeypatch.setattr(Output, "picture", fail)
    assert run("share", "a", "--qr") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("https://")
    assert "LC_ALL=C.UTF-8" in captured.err


def test_folder_named_as_a_file_gets_the_command_for_folders(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder without `/` at its end is no file: exit code 3, and the line to type."""
    fake.put_file("photos/1.jpg", b"hello")
    assert run("share", "photos") == 3
    text = "ferry: There is no file photos, but photos/ is a folder: ferry share photos/\n"
    assert capsys.readouterr() == ("", text)


def test_link_to_a_folder_without_files_says_so(
    run: Run, fake: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """The link is made, because files can follow; a mistyped name is noticed."""
    assert run("share", "photso/") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("https://")
    assert captured.err.startswith("There are no files below photso/ yet.\n")
