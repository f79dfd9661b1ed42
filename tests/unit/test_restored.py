"""What SnapStart freezes and restores, in many copies and later, holds nothing that may not be there twice, or old."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(path.name for path in (ROOT / "functions").iterdir() if (path / "app.py").is_file())
IMPORT = """
import json
import app
from ferry import wiring
made = [name for name, value in vars(wiring).items() if hasattr(value, "cache_info") and value.cache_info().currsize]
print(json.dumps(made))
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_snapshot_holds_no_settings_clients_or_keys(function: str) -> None:
    """Loading a function's code makes nothing yet: no cache is filled, no clock was read, no connection is open."""
    paths = [str(ROOT / "functions" / function), str(ROOT / "layers/common")]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        env={"PYTHONPATH": ":".join(paths), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == []


def test_nothing_random_comes_from_a_seed_that_copies_share() -> None:
    """Ids and tokens come from the system's source, which a restored copy asks anew; `random` would repeat itself."""
    for path in (ROOT / "layers/common/ferry").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert "random" not in names, f"{path.name} imports random: use secrets"


def test_caches_age_by_a_clock_that_goes_on_while_they_are_frozen() -> None:
    """The monotonic clock of a restored copy goes on from where it was frozen; the wall's does not."""
    for path in (ROOT / "layers/common/ferry").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("monotonic", "monotonic_ns"):
                assert path.name in TIMED, f"{path.name} reads the monotonic clock: a cache must not"


TIMED = frozenset({"app.py"})
"""Modules that measure how long one call takes, within that call."""
