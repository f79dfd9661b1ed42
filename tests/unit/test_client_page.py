"""The pages that are generated from the client: every command, and every public name of the SDK."""

from __future__ import annotations

import re

from dev.paths import ROOT
from dev.site.client_page import render_commands, render_sdk
from dev.site.client_pictures import Screen
from ferry_client.cli import exit_codes
from ferry_client.cli.group import COMMANDS


def test_command_reference_has_every_command_with_an_example() -> None:
    """Each subcommand has its section, a block of examples, and no control character."""
    page = render_commands()
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    assert [section.partition("\n")[0] for section in sections] == [f"ferry {name}" for name in sorted(COMMANDS)]
    assert all("```sh\nferry " in section for section in sections if "stdin" not in section)
    assert "\b" not in page


def test_sdk_page_explains_every_argument() -> None:
    """The methods, their arguments, the options and the exceptions are there."""
    page = render_sdk()
    for text in ("### Ferry.upload", "- `if_exists`: ", "| `max_jobs` |", "└── CancelledError"):
        assert text in page


def test_guide_has_every_exit_code() -> None:
    """The table of exit codes in the guide is that of `ferry --help`."""
    guide = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| (\d+) \|", guide, re.MULTILINE)
    assert documented == re.findall(r"^ *(\d+)  ", exit_codes.HELP, re.MULTILINE)


def test_pictures_need_no_other_server() -> None:
    """The pictures name no address: reading the documents needs no network."""
    pictures = list((ROOT / "docs" / "assets").glob("client-*.svg"))
    assert len(pictures) == 4
    for picture in pictures:
        assert "url(http" not in picture.read_text(encoding="utf-8").replace("url(http://www.w3.org", "")


def test_screen_shows_what_a_terminal_would() -> None:
    """Lines that are cleared and written again are there once."""
    screen = Screen()
    screen.feed("one\r\ntwo\r\x1b[2K\x1b[1A\x1b[2Kthree\n")
    assert screen.lines[:2] == ["three", ""]
