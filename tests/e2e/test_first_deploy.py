"""The curl commands of docs/first-deploy.md, run as they stand, answer what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from dev.paths import ROOT
from tests.e2e.clients import ServiceUnderTest

PAGE = (ROOT / "docs/first-deploy.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CALLS = 10


def sections() -> dict[str, list[tuple[str, str]]]:
    """Return the blocks of each section by its title: kind and text."""
    return {title: BLOCK.findall(text) for title, text in SECTION.findall(PAGE)}


def local_commands(blocks: list[tuple[str, str]]) -> str:
    """Return the `sh` blocks that need no AWS account and no values of the reader."""
    return "".join(text for kind, text in blocks if kind == "sh" and "aws " not in text and "$(output" not in text)


def expected_lines(blocks: list[tuple[str, str]]) -> list[str]:
    return [line for kind, text in blocks if kind == "text" for line in text.splitlines()]


def to_pattern(line: str) -> str:
    return ".*".join(re.escape(piece) for piece in line.split("…"))


def test_page_has_ten_calls() -> None:
    """The calls are numbered, and most of them have an answer that this test compares."""
    titles = [title for title in sections() if title[0].isdigit()]
    assert [int(title.partition(".")[0]) for title in titles] == list(range(1, CALLS + 1))
    assert sum(bool(expected_lines(sections()[title])) for title in titles) == 7


@pytest.fixture(scope="module")
def outputs(service: ServiceUnderTest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run the commands of all sections in one shell, in the order of the page. Return their output by section."""
    info, folder = service.connection_info, tmp_path_factory.mktemp("calls")
    client = info["clients"][0]
    script = "".join(f"echo '=== {title}'\n{local_commands(blocks)}\n" for title, blocks in sections().items())
    done = subprocess.run(
        ["bash", "-u", "-c", script],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "URL": info["base_url"],
            "CLIENT_ID": client["client_id"],
            "CLIENT_SECRET": client["client_secret"],
            "ORIGIN": "http://localhost:8000",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    return dict(piece.split("\n", 1) for piece in done.stdout.split("=== ")[1:])


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("openssl") is None, reason="needs curl and openssl")
@pytest.mark.parametrize("title", [title for title, blocks in sections().items() if expected_lines(blocks)])
def test_call_answers_as_documented(outputs: dict[str, str], title: str) -> None:
    """Each expected line of a section is in its output."""
    for line in expected_lines(sections()[title]):
        assert re.search(to_pattern(line), outputs[title], re.IGNORECASE), f"{title}: {line}\n{outputs[title]}"
