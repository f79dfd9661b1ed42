"""`.ci/run` with programs that do nothing: what it prints, also when a step of a lane fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROGRAMS = {
    "dpkg-query": "echo installed",
    "npm": "exit 0",
    "make": """
case "$1" in
  test) echo "===== 12 passed, 1 skipped in 3.45s (0:00:03) =====" ;;
  test-local) echo "===== 34 passed in 6.78s =====" ;;
  "$FAILING_TARGET") echo "this target failed" && exit 2 ;;
esac
""",
}
"""Shell scripts by the name of the program that each replaces."""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the programs."""
    for name, script in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run(root: Path, programs: Path, failing_target: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "FAILING_TARGET": failing_target}
    return subprocess.run(
        [root / ".ci/run"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_last_line_is_the_summary_of_make_test(root: Path, programs: Path) -> None:
    """The seconds of each step, also of those side by side, and the summaries of the test runner end the output."""
    done = run(root, programs, "none")
    assert done.returncode == 0, done.stderr
    head, *summaries = done.stdout.strip().rsplit("\n\n", 2)
    assert [line.split()[1] for line in summaries] == ["34", "12"]
    steps = [line.split(maxsplit=1)[1] for line in head.rpartition("seconds  step\n")[2].splitlines()]
    assert {
        "make test",
        "make fuzz SEED=1 FUZZ_SECONDS=60, in lane containers",
        "make test-local",
        "make test-sam, in lane containers",
    } <= {*steps}
    assert steps[-1] == "all"


@pytest.mark.parametrize(
    ("target", "later"),
    [
        ("venv", "lint"),
        ("lint", "demo"),
        ("verify-layer", "test"),
        ("test-stress", "test-backends"),
        ("test-backends", "test-clients"),
    ],
)
def test_failing_step_is_named_and_ends_the_run(root: Path, programs: Path, target: str, later: str) -> None:
    """A step that fails, alone or in a lane, is named, its output is shown, and the steps after it do not run."""
    done = run(root, programs, target)
    assert done.returncode != 0
    assert f"failed: make {target}" in done.stderr
    assert "this target failed" in done.stdout
    assert f"=== make {later}\n" not in done.stdout
