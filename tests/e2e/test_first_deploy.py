"""The curl commands of docs/first-deploy.md, run as they stand, answer what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

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


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("openssl") is None, reason="needs curl and openssl")
def test_calls_answer_as_documented(service: ServiceUnderTest, tmp_path: Path) -> None:
    """Each expected line is in the output of its section, run in one shell in the order of the page."""
    info = service.connection_info
    client = info["clients"][0]
    found = sections()
    script = "".join(f"echo '=== {title}'\n{local_commands(blocks)}\n" for title, blocks in found.items())
    done = subprocess.run(
        ["bash", "-u", "-c", script],
        cwd=tmp_path,
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
    outputs = dict(piece.split("\n", 1) for piece in done.stdout.split("=== ")[1:])
    for title, blocks in found.items():
        for line in expected_lines(blocks):
            assert re.search(to_pattern(line), outputs[title], re.IGNORECASE), f"{title}: {line}\n{outputs[title]}"
    assert list(tmp_path.iterdir()) == []
