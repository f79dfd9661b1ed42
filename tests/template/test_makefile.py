"""The Makefile and everything that calls it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CALL_PATTERN = re.compile(
    r"""^(?:.*(?:run: |entry: |": "))?\s*(?:run_(?:make|tests)|make) ([a-z][a-z-]+)""", re.MULTILINE
)
"""A make target in a script, a workflow's step, a hook or a container's command."""

CALLERS = [".ci/run", ".github/workflows/ci.yml", ".pre-commit-config.yaml", ".devcontainer/devcontainer.json"]


@pytest.fixture(scope="module")
def targets(root: Path) -> set[str]:
    """The targets that `make help` lists."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):[^=\n]*## ", makefile, re.MULTILINE))


def test_makefile_every_target_has_help_text(root: Path, targets: set[str]) -> None:
    """A target without a help text is not listed by `make help`."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    # A line that sets a target's variable (`target: NAME += value`) is no rule.
    defined = set(re.findall(r"^([a-z][a-z-]*):(?![^#\n]*=)", makefile, re.MULTILINE))
    assert {"test", "lint", "prove-cold"} <= targets
    assert defined == targets


@pytest.mark.parametrize("caller", CALLERS)
def test_callers_use_existing_targets(root: Path, targets: set[str], caller: str) -> None:
    """Each make target that a script or a configuration names is in the Makefile."""
    text = (root / caller).read_text(encoding="utf-8")
    named = set(CALL_PATTERN.findall(text))
    if matrix := re.search(r"target: \[([^]]+)]", text):
        named |= set(matrix[1].split(", "))
    assert len(named) >= 2
    assert named <= targets


def test_workflow_steps_are_make_targets(root: Path) -> None:
    """What CI runs is what a person can run; only packages are installed otherwise."""
    workflow = (root / CALLERS[1]).read_text(encoding="utf-8")
    commands = re.findall(r"- run: (.+)", workflow)
    assert len(commands) > 5
    assert all(command.startswith("make ") for command in commands), commands


def test_local_ci_runs_the_targets_of_the_workflow(root: Path) -> None:
    """`.ci/run` runs every target that the workflow runs."""
    workflow, script = ((root / path).read_text(encoding="utf-8") for path in (CALLERS[1], CALLERS[0]))
    (matrix,) = re.findall(r"target: \[([^]]+)]", workflow)
    named = {*re.findall(r"- run: make ([a-z-]+)", workflow), *matrix.split(", ")}
    assert named
    assert named <= set(CALL_PATTERN.findall(script))


def test_suites_left_out_of_make_test_exist(root: Path) -> None:
    """Each path that `make test` leaves to `make test-local` exists, so that a rename is carried into the list."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    (paths,) = re.findall(r"^local_suites := ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    suites = paths.replace("\\\n", " ").split()
    assert len(suites) > 3
    assert [path for path in suites if not (root / path).exists()] == []
