"""`python -m dev.layer.verify` builds the layer twice for each architecture, and holds it to what its makefile promises.

The same bytes both times, machine code for the right machine (the build checks that itself), bytecode that is found, no
more than LARGEST bytes zipped, and every function's module imports with nothing but the layer beside it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from dev.docker.errors import SamError
from dev.paths import ROOT

WORK_FOLDER = ROOT / "build" / "verify-layer"
ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}
MAX_ZIP_BYTES = 15_000_000
"""Bytes of the zip. Lambda takes more; every new copy of a function waits for what is loaded and unpacked."""
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


def main() -> int:
    """Exit codes: 0 as promised, 1 not so, and it was said."""
    try:
        for architecture in ARCHITECTURES:
            verify_layer(architecture)
    except SamError as error:
        sys.stderr.write(f"layer: {error}\n")
        return 1
    return 0


def verify_layer(architecture: str) -> None:
    """Build twice, compare, measure. Raises `SamError` on the first thing that is not as it must be."""
    first, second = (build_layer(architecture, WORK_FOLDER / f"{architecture}-{number}") for number in (1, 2))
    before, after = list_files(first), list_files(second)
    if changed := sorted(name for name in before | after if before.get(name) != after.get(name)):
        raise SamError(f"two builds for {architecture} differ: {', '.join(changed[:10])}")
    require_bytecode(first)
    unpacked, zipped = sum(size for size, *_ in before.values()), create_zip(first, WORK_FOLDER / f"{architecture}.zip")
    digest = hashlib.sha256((WORK_FOLDER / f"{architecture}.zip").read_bytes()).hexdigest()
    sources = sum(size for name, (size, *_) in before.items() if name.endswith(".py"))
    print(
        f"{architecture}: {len(before)} files, {unpacked / 1e6:.1f} MB unpacked (sources {sources / 1e6:.1f}), "
        f"{zipped / 1e6:.1f} MB zipped, SHA-256 {digest[:16]}, twice the same"
    )
    print(f"  {', '.join(f'{name} {size / 1e6:.1f}' for name, size in largest_packages(before))} MB")
    if zipped > MAX_ZIP_BYTES:
        raise SamError(f"{zipped:,} bytes zipped for {architecture}, {MAX_ZIP_BYTES:,} at most")
    if platform.machine() == ARCHITECTURES[architecture]:
        check_function_imports(first / "python")


def build_layer(architecture: str, target: Path) -> Path:
    """As `sam build` does it: the makefile, told where to."""
    command = ". dev/layer/runtime-python.sh && exec make --no-print-directory -s -C layers/common build-CommonLayer"
    env = {**os.environ, "FERRY_ARCHITECTURE": architecture, "ARTIFACTS_DIR": str(target)}
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SamError(f"the layer could not be built for {architecture}")
    return target


def list_files(root: Path) -> dict[str, tuple[int, int, int, str]]:
    """Every file below `root`: its size, mode, time and digest."""
    found = {}
    for path in sorted(root.rglob("*")):
        about = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        size = about.st_size if path.is_file() else 0
        found[str(path.relative_to(root))] = (size, about.st_mode, int(about.st_mtime), digest)
    return found


def require_bytecode(root: Path) -> None:
    """Lambda's disk is read-only: a module without bytecode is compiled at every cold start."""
    for path in root.rglob("*.py"):
        if not any(path.parent.glob(f"__pycache__/{path.stem}.cpython-313.pyc")):
            raise SamError(f"no bytecode for {path.relative_to(root)}")


def create_zip(root: Path, target: Path) -> int:
    """A zip that depends on the bytes alone: sorted, at the earliest time there is. Its size."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(root)), ZIP_TIMESTAMP)
            entry.external_attr = (path.stat().st_mode & 0o777) << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return target.stat().st_size


def largest_packages(files: Mapping[str, tuple[int, int, int, str]], count: int = 6) -> list[tuple[str, int]]:
    """The packages that weigh most."""
    sizes: dict[str, int] = {}
    for name, (size, *_) in files.items():
        package = Path(name).parts[1] if len(Path(name).parts) > 1 else name
        sizes[package] = sizes.get(package, 0) + size
    return sorted(sizes.items(), key=lambda item: -item[1])[:count]


def check_function_imports(layer: Path) -> None:
    """Each function with the layer and nothing else, in the runtime's Python: what was cut too far fails here."""
    for folder in sorted((ROOT / "functions").iterdir()):
        command = '. dev/layer/runtime-python.sh && exec python3.13 -P -s -S -c "$0" "$@"'
        done = subprocess.run(
            ["sh", "-c", command, IMPORT_CHECK_SCRIPT, str(folder), str(layer)],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SamError(f"functions/{folder.name} cannot be imported with the layer alone:\n{done.stderr[-2000:]}")
    print("  every function imports with it and nothing else")


if __name__ == "__main__":
    sys.exit(main())
