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
PROBE_SCRIPT = """
import json
import app
from ferry import wiring
made = [name for name, value in vars(wiring).items() if hasattr(value, "cache_info") and value.cache_info().currsize]
print(json.dumps(made))
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_snapshot_holds_no_cached_state(function: str) -> None:
    """Loading a function's code makes nothing yet: no cache is filled, no clock was read, no connection is open."""
    paths = [str(ROOT / "functions" / function), str(ROOT / "layers/common")]
    done = subprocess.run(
        [sys.executable, "-c", PROBE_SCRIPT],
        env={"PYTHONPATH": ":".join(paths), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == []


def test_random_module_is_not_used() -> None:
    """Ids and tokens come from the system's source, which a restored copy asks anew; `random` would repeat itself."""
    for path in (ROOT / "layers/common/ferry").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert "random" not in names, f"{path.name} imports random: use secrets"


def test_caches_do_not_use_monotonic_clock() -> None:
    """The monotonic clock of a restored copy goes on from where it was frozen; the wall's does not."""
    for path in (ROOT / "layers/common/ferry").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("monotonic", "monotonic_ns"):
                assert path.name in MONOTONIC_CLOCK_USERS, f"{path.name} reads the monotonic clock: a cache must not"


MONOTONIC_CLOCK_USERS = frozenset({"router.py"})
"""Modules that measure how long one call takes, within that call."""
