"""The shell blocks of README.md and docs/getting-started.md, run as they stand."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from dev.local.launcher import LocalService
from dev.paths import ROOT

FILE_SIZE_BYTES = 20_000_003
"""The size of film.bin in the tests; the page itself uses 300 MB."""

SHELLS = ("bash", "dash")

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shell_blocks(page: str) -> str:
    """Return all `sh` blocks of a page, joined in their order."""
    blocks = _BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert blocks, f"{page} has no sh block"
    return "".join(blocks)


def run_script(service: LocalService, script: str, shell: str, folder: Path, *, runs: int = 1) -> str:
    """Run the script in a folder beside the service's `.local`, `runs` times; return the last run's output."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    if not (folder / ".local").exists():
        (folder / ".local").symlink_to(service.state_folder)
    output = ""
    for _ in range(runs):
        run = subprocess.run(
            [path, "-eu", "-c", script],
            cwd=folder,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "SIZE": str(FILE_SIZE_BYTES)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        output = run.stdout
    return output


def assert_equal_checksums(output: str, *names: str) -> None:
    sums = re.findall(r"^([0-9a-f]{64})  (\S+)$", output, re.MULTILINE)
    assert [name for _, name in sums] == list(names)
    assert len({digest for digest, _ in sums}) == 1


@pytest.mark.parametrize("shell", SHELLS)
def test_readme_block_run_twice_succeeds(service: LocalService, shell: str, tmp_path: Path) -> None:
    """The Quick start uploads and downloads a small file, and can be pasted again."""
    output = run_script(service, shell_blocks("README.md"), shell, tmp_path, runs=2)
    assert_equal_checksums(output, "hello.txt", "copy.txt")
    assert '"state":"complete"' in output


def test_readme_block_after_unfinished_upload_succeeds(service: LocalService, tmp_path: Path) -> None:
    """An unfinished upload of the same name, which has received bytes, does not stop the Quick start."""
    setup, _, _ = shell_blocks("README.md").partition("printf ")
    unfinished = setup + (
        'api --json \'{"filename": "hello.txt", "size": 8, "if_exists": "replace"}\' "$URL/upload/start"\n'
        'api --json \'{"filename": "hello.txt", "chunk_index": 1, "data": "dW5maW5pc2g="}\' "$URL/upload/chunk"\n'
    )
    script = unfinished + shell_blocks("README.md")
    output = run_script(service, script, "bash", tmp_path)
    assert_equal_checksums(output, "hello.txt", "copy.txt")
    assert '"state":"complete"' in output


@pytest.mark.parametrize(
    ("shell", "runs"),
    [("bash", 1), ("dash", 2), pytest.param("bash", 2, marks=pytest.mark.stress)],
)
def test_getting_started_repeated_succeeds(service: LocalService, shell: str, runs: int, tmp_path: Path) -> None:
    """The walk-through sends chunks and a part, completes, downloads the same bytes, and can be pasted again."""
    output = run_script(service, shell_blocks("docs/getting-started.md"), shell, tmp_path, runs=runs)
    assert_equal_checksums(output, "film.bin", "copy.bin")
    assert '"state":"complete"' in output
    assert (tmp_path / "copy.bin").stat().st_size == FILE_SIZE_BYTES


def test_getting_started_after_kill_resumes(tmp_path: Path) -> None:
    """The service is killed at the step that invites the reader to do so; the upload continues where it was."""
    before, _, after = (ROOT / "docs/getting-started.md").read_text(encoding="utf-8").partition("## 5. Break it")
    wait = "touch sent; while [ ! -e restarted ]; do sleep 0.1; done\n"
    script = "".join(_BLOCK.findall(before)) + wait + "".join(_BLOCK.findall(after))
    state_folder = tmp_path / "state"
    service = LocalService(state_folder)
    try:
        (tmp_path / ".local").symlink_to(state_folder)
        with start_shell(script, tmp_path) as shell:
            while not (tmp_path / "sent").exists():
                assert shell.poll() is None, shell.communicate()
                time.sleep(0.1)
            assert service.kill() > 0
            service = LocalService(state_folder)
            (tmp_path / "restarted").touch()
            output, errors = shell.communicate(timeout=120)
        assert shell.returncode == 0, output + errors
    finally:
        service.kill()
    assert_equal_checksums(output, "film.bin", "copy.bin")


def start_shell(script: str, folder: Path) -> subprocess.Popen[str]:
    """Start the script in bash."""
    return subprocess.Popen(
        [str(shutil.which("bash")), "-eu", "-c", script],
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "SIZE": str(FILE_SIZE_BYTES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
