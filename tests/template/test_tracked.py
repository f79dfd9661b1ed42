"""The files that Git tracks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def git_ls_files(root: Path, *options: str) -> list[str]:
    """Return the files that `git ls-files` lists with those options."""
    command = ["git", "ls-files", *options]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()


def copy_ignore_rules(root: Path, folder: Path) -> Path:
    """Return a new repository with the project's .gitignore."""
    shutil.copy(root / ".gitignore", folder)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def test_ignored_files_are_not_tracked(root: Path) -> None:
    """No tracked file is ignored: a checkout would overwrite a user's own file of that name without a warning."""
    if not (root / ".git").exists():
        pytest.skip("not a Git checkout, so nothing is tracked")
    assert "template.yaml" in git_ls_files(root)
    assert git_ls_files(root, "--cached", "--ignored", "--exclude-standard") == []


def test_root_entries_are_few_and_explained(root: Path) -> None:
    """The root has at most 30 entries, and the README names each folder and each file that is no document."""
    if not (root / ".git").exists():
        pytest.skip("not a Git checkout, so nothing is tracked")
    entries = {path.partition("/")[0] for path in git_ls_files(root)}
    readme = (root / "README.md").read_text(encoding="utf-8")
    folders = readme[readme.index("| folder | contents |") :]
    documents = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"}
    assert len(entries) <= 30
    assert [
        name for name in sorted(entries - documents) if f"`{name}`" not in folders and f"{name}/" not in folders
    ] == []


@pytest.mark.parametrize("name", [".venv", ".local", "build", ".aws-sam"])
def test_generated_folder_is_ignored(root: Path, tmp_path: Path, name: str) -> None:
    """Git does not offer a generated folder for a commit."""
    repository = copy_ignore_rules(root, tmp_path)
    (repository / name).mkdir()
    (repository / name / "file").touch()
    assert git_ls_files(repository, "--others", "--exclude-standard") == [".gitignore"]


def test_venv_symlink_is_ignored(root: Path, tmp_path: Path) -> None:
    """A `.venv` that is a symlink is ignored too; a pattern with a trailing slash would miss it."""
    repository = copy_ignore_rules(root, tmp_path)
    (repository / ".venv").symlink_to("elsewhere")
    assert git_ls_files(repository, "--others", "--exclude-standard") == [".gitignore"]
