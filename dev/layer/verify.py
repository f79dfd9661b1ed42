"""Build the layer twice for each architecture and verify it: `python -m dev.layer.verify [--write]`.

Both builds have the same bytes, every module has bytecode, the zip is at most MAX_ZIP_BYTES, and every function imports
with the layer alone. The build itself verifies that shared libraries are for the right machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from dev import figures
from dev.errors import CheckError
from dev.paths import ROOT

WORK_FOLDER = ROOT / "build" / "verify-layer"
ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""The machine's name for itself, by Lambda's name for the architecture."""

MAX_ZIP_BYTES = 15_000_000
"""Size limit of the zip. Lambda accepts more, but every cold start loads and unpacks the layer."""

ZIP_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
IMPORT_CHECK_SCRIPT = """import sys
sys.path[:0] = sys.argv[1:]
sys.dont_write_bytecode = True
import app, ferry.wiring, ferry.aws.kms, ferry.aws.upload_repository, ferry.aws.objects, ferry.aws.completion_queue
from aws_lambda_powertools import Logger, Metrics, Tracer
import boto3
for service in ("dynamodb", "kms", "lambda", "s3"):
    boto3.client(service, region_name="us-east-1")
"""


class FileEntry(NamedTuple):
    """What must be equal for a file or folder in two builds."""

    size: int
    """Bytes."""
    mode: int
    """Type and permission bits, as `os.stat` has them."""
    modified_at: int
    """Seconds since the epoch."""

    digest: str
    """SHA-256 of a file; `folder` for a folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the layer is as described, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make verify-layer", description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the sizes and digests to docs/figures/layer.json")
    options = parser.parse_args(arguments)
    try:
        unpack_python()
        # An installer, the compiler and the zip use one processor each.
        with ThreadPoolExecutor() as pool:
            measured = dict(zip(ARCHITECTURES, pool.map(verify_layer, ARCHITECTURES), strict=True))
    except CheckError as error:
        sys.stderr.write(f"layer: {error}\n")
        return 1
    if options.write:
        figures.write_figures("layer", "make prove-layer", measured)
    return 0


def unpack_python() -> None:
    """Unpack the runtime image's Python where it is needed, before two builds do so at the same time.

    Raises:
        CheckError: there is neither a Python 3.13 nor an image.
    """
    if subprocess.run(["sh", "-c", ". dev/layer/runtime-python.sh"], cwd=ROOT, check=False).returncode:
        raise CheckError("there is no Python 3.13")


def verify_layer(architecture: str) -> dict[str, Any]:
    """Build twice, compare, measure.

    Returns:
        The number of files, the sizes in bytes and the zip's SHA-256.

    Raises:
        CheckError: the builds differ, the zip is too large, or a function does not import.
    """
    first, second = (build_layer(architecture, WORK_FOLDER / f"{architecture}-{number}") for number in (1, 2))
    entries, second_entries = list_files(first), list_files(second)
    names = entries.keys() | second_entries.keys()
    if different := sorted(name for name in names if entries.get(name) != second_entries.get(name)):
        raise CheckError(f"two builds for {architecture} differ: {', '.join(different[:10])}")
    require_bytecode(first)
    archive = WORK_FOLDER / f"{architecture}.zip"
    measured: dict[str, Any] = {
        "files": len(entries),
        "unpacked_bytes": sum(entry.size for entry in entries.values()),
        "source_bytes": sum(entry.size for name, entry in entries.items() if name.endswith(".py")),
        "zipped_bytes": create_zip(first, archive),
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
    }
    print(
        f"{architecture}: {measured['files']} files, {measured['unpacked_bytes'] / 1e6:.1f} MB unpacked "
        f"(sources {measured['source_bytes'] / 1e6:.1f}), {measured['zipped_bytes'] / 1e6:.1f} MB zipped, "
        f"SHA-256 {measured['sha256'][:16]}, two builds equal\n"
        f"  {', '.join(f'{name} {size / 1e6:.1f}' for name, size in largest_packages(entries))} MB"
    )
    if measured["zipped_bytes"] > MAX_ZIP_BYTES:
        raise CheckError(
            f"the zip for {architecture} has {measured['zipped_bytes']:,} bytes; the limit is {MAX_ZIP_BYTES:,}"
        )
    if platform.machine() == ARCHITECTURES[architecture]:
        check_function_imports(first / "python")
    return measured


def build_layer(architecture: str, target: Path) -> Path:
    """Build the layer into `target` with the makefile that `sam build` uses. Raises `CheckError`."""
    command = ". dev/layer/runtime-python.sh && exec make --no-print-directory -s -C layers/common build-CommonLayer"
    env = {**os.environ, "FERRY_ARCHITECTURE": architecture, "ARTIFACTS_DIR": str(target)}
    completed = subprocess.run(["sh", "-c", command], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, check=False)
    if completed.returncode:
        raise CheckError(f"the build of the layer for {architecture} failed")
    return target


def list_files(root: Path) -> dict[str, FileEntry]:
    """Return every file and folder below `root` by its relative path."""
    entries = {}
    for path in sorted(root.rglob("*")):
        status = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        size = status.st_size if path.is_file() else 0
        entries[str(path.relative_to(root))] = FileEntry(size, status.st_mode, int(status.st_mtime), digest)
    return entries


def require_bytecode(root: Path) -> None:
    """Require bytecode for every module: Lambda's disk is read-only, so each cold start would compile one without.

    Raises:
        CheckError: a module has no bytecode.
    """
    for path in root.rglob("*.py"):
        if not any(path.parent.glob(f"__pycache__/{path.stem}.cpython-313.pyc")):
            raise CheckError(f"{path.relative_to(root)} has no bytecode")


def create_zip(root: Path, target: Path) -> int:
    """Write a zip whose bytes depend on the files' content and mode alone, and return its size in bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(root)), ZIP_TIMESTAMP)
            entry.external_attr = (path.stat().st_mode & 0o777) << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return target.stat().st_size


def largest_packages(entries: Mapping[str, FileEntry], count: int = 6) -> list[tuple[str, int]]:
    """Return the largest packages with their size in bytes, the largest first."""
    sizes: dict[str, int] = {}
    for name, entry in entries.items():
        package = Path(name).parts[1] if len(Path(name).parts) > 1 else name
        sizes[package] = sizes.get(package, 0) + entry.size
    return sorted(sizes.items(), key=lambda item: -item[1])[:count]


def check_function_imports(layer: Path) -> None:
    """Import each function with the layer alone, in the runtime's Python: a module trimmed by mistake fails here.

    Raises:
        CheckError: a function does not import.
    """
    for folder in sorted((ROOT / "functions").iterdir()):
        command = '. dev/layer/runtime-python.sh && exec python3.13 -P -s -S -c "$0" "$@"'
        completed = subprocess.run(
            ["sh", "-c", command, IMPORT_CHECK_SCRIPT, str(folder), str(layer)],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode:
            raise CheckError(
                f"functions/{folder.name} does not import with the layer alone:\n{completed.stderr[-2000:]}"
            )
    print("  every function imports with the layer alone")


if __name__ == "__main__":
    sys.exit(main())
