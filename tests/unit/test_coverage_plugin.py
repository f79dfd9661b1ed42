"""The measurement of coverage around calls of libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugins.repeating_tests import REPEATING_FILES, REPEATING_TESTS

ROOT = Path(__file__).parents[2]

PROGRAM = """
import threading
from tests.plugins.coverage import unmeasured

@unmeasured
def call_library(fails):
    if fails:
        raise ValueError

def call_twice(fails):
    call_library(False)
    try:
        call_library(fails)
    except ValueError:
        fails = False
    return fails

call_twice(True)
thread = threading.Thread(target=call_twice, args=(False,))
thread.start()
thread.join()
"""


def test_unmeasured_call_leaves_caller_measured(tmp_path: Path) -> None:
    """The lines around a call are measured, also after one that raises and in another thread; its own are not."""
    program, report = tmp_path / "program.py", tmp_path / "report.json"
    program.write_text(PROGRAM, encoding="utf-8")
    coverage = [sys.executable, "-m", "coverage"]
    data = f"--data-file={tmp_path / 'data'}"
    for arguments in (
        ["run", "--branch", data, f"--include={program}", "--rcfile=/dev/null", str(program)],
        ["json", data, "--fail-under=0", "-o", str(report)],
    ):
        subprocess.run([*coverage, *arguments], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=True)
    [measured] = json.loads(report.read_text(encoding="utf-8"))["files"].values()
    lines = PROGRAM.splitlines()
    missing = [lines[number - 1].strip() for number in measured["missing_lines"]]
    assert missing == ["if fails:", "raise ValueError"]
    assert [origin for origin, _ in measured["missing_branches"]] == [7, 7]


@pytest.mark.parametrize("path", sorted({*REPEATING_FILES, *REPEATING_TESTS}))
def test_tests_that_are_not_measured_exist(path: str) -> None:
    """Each listed file exists and has the listed tests, so that a rename is carried into the lists."""
    source = (ROOT / path).read_text(encoding="utf-8")
    assert [name for name in REPEATING_TESTS.get(path, ()) if f"def {name}(" not in source] == []
