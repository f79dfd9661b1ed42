"""The built functions that the tests in containers run."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.docker import start_api
from dev.local import sam_cli


def test_copied_build_replaces_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions and layer are those of the copy of the project, without a file that an earlier build left."""
    root, clone = tmp_path / "root", tmp_path / "clone"
    for project, name in ((root, "old"), (clone, "new")):
        for folder in sam_cli.BUILD_FOLDERS:
            (project / folder / "Part").mkdir(parents=True)
            (project / folder / "Part" / f"{name}.py").write_text(name, encoding="utf-8")
    monkeypatch.setattr(start_api, "ROOT", root)
    start_api.copy_build(clone)
    copied = sorted(path.relative_to(root) for path in root.rglob("*.py"))
    assert copied == sorted(folder / "Part" / "new.py" for folder in sam_cli.BUILD_FOLDERS)
