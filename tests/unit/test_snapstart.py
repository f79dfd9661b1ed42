"""A SnapStart snapshot holds no state that must be unique to an instance, or that becomes stale."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(path.name for path in (ROOT / "functions").iterdir() if (path / "app.py").is_file())
MODULES = list((ROOT / "layers/common/ferry").rglob("*.py"))
MONOTONIC_CLOCK_USERS = frozenset({"router.py"})
"""Modules that measure the duration of one call within it."""
PROBE_SCRIPT = """
import json
import app
from ferry import wiring
filled = [name for name, value in vars(wiring).items() if hasattr(value, "cache_info") and value.cache_info().currsize]
print(json.dumps(filled))
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_snapshot_holds_no_cached_state(function: str) -> None:
    """Importing a function fills no cache of `ferry.wiring`, so it has no connection and no cached data."""
    paths = [str(ROOT / "functions" / function), str(ROOT / "layers/common")]
    done = subprocess.run(
        [sys.executable, "-c", PROBE_SCRIPT],
        env={"PYTHONPATH": ":".join(paths), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == []


def test_layer_has_modules() -> None:
    """The two tests below have modules to look at."""
    assert len(MODULES) > 50


def test_random_module_is_not_used() -> None:
    """Ids come from the operating system; `random` would repeat its numbers in every restored instance."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert "random" not in names, f"{path.name} imports random: use secrets"


def test_caches_do_not_use_monotonic_clock() -> None:
    """Caches use the wall clock; the monotonic clock of a restored instance continues from the snapshot."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("monotonic", "monotonic_ns"):
                assert path.name in MONOTONIC_CLOCK_USERS, f"{path.name} reads the monotonic clock: a cache must not"
