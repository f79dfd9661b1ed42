"""What is in the repository, and what must never be."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_ignored_files_are_not_tracked(root: Path) -> None:
    """A tracked file that is ignored overwrites, wherever it is checked out, what was there without a word."""
    if not (root / ".git").exists():
        return
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout == ""


def test_venv_symlink_is_ignored(root: Path) -> None:
    """A pattern that ends in a slash matches directories only."""
    assert ".venv" in (root / ".gitignore").read_text(encoding="utf-8").splitlines()
