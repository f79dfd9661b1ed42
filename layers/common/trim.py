"""Cuts an installed tree down to what the functions load, and checks that its machine code is the runtime's.

Licence texts stay: they must travel with the code. So does METADATA, which `importlib.metadata` answers from.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
"""`e_machine` of the ELF header."""

BOTOCORE_COMMON = {"_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json"}
UNUSED_DESCRIPTIONS = ("examples-*", "waiters-*", "paginators-*", "service-2.sdk-extras.json")
UNUSED_FOLDERS = (
    *("bin", "**/tests", "**/__pycache__", "boto3/data", "boto3/examples"),
    # cryptography needs cffi's compiled half only; the other one writes C.
    *("cffi", "pycparser", "pydantic/v1"),
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in (
            *("auth_alpha", "batch", "circuit_breaker", "data_masking", "feature_flags", "idempotency"),
            *("kafka", "parameters", "parser", "streaming", "validation"),
        )
    ),
)
UNUSED_FILES = (
    *("**/*.pyi", "**/py.typed", "**/*.pyx", "**/*.c", "**/*.h", "pydantic/mypy.py"),
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.min.*",
)
UNUSED_METADATA = ("INSTALLER", "RECORD", "REQUESTED", "WHEEL", "direct_url.json", "top_level.txt", "sboms")


def unused(root: Path, services: Sequence[str]) -> Iterator[Path]:
    """What no function loads, below `root`."""
    for pattern in (*UNUSED_FOLDERS, *UNUSED_FILES):
        yield from root.glob(pattern)
    for name in UNUSED_METADATA:
        yield from root.glob(f"*.dist-info/{name}")
    data = root / "botocore" / "data"
    for entry in data.iterdir():
        if entry.name not in BOTOCORE_COMMON and entry.name not in services:
            yield entry
    for service in services:
        *outdated, current = sorted((data / service).iterdir())
        yield from outdated
        for pattern in UNUSED_DESCRIPTIONS:
            yield from current.glob(pattern)


def rewrite_descriptions(data: Path, services: Sequence[str]) -> None:
    """Leave what botocore computes with, and leave it uncompressed: a cold start reads these files first of all.

    Of the services' descriptions two thirds are documentation; the endpoints are those of four hundred services.
    """
    for service in services:
        for path in (data / service).glob("*/*.json.gz"):
            description = without_documentation(json.loads(gzip.decompress(path.read_bytes())))
            write(path.with_suffix(""), description)
            path.unlink()
    endpoints = json.loads((data / "endpoints.json").read_bytes())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: of for name, of in partition["services"].items() if name in services}
    write(data / "endpoints.json", endpoints)


def without_documentation(description: Any) -> Any:
    """The same with an empty text where `documentation` is one: botocore asks for the member here and there."""
    if isinstance(description, dict):
        return {
            name: "" if name == "documentation" and isinstance(value, str) else without_documentation(value)
            for name, value in description.items()
        }
    if isinstance(description, list):
        return [without_documentation(value) for value in description]
    return description


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def foreign_libraries(root: Path, machine: str) -> list[str]:
    """Shared libraries that are no ELF file for `machine` (little-endian, as both of Lambda's are)."""
    found = []
    for path in sorted(root.glob("**/*.so*")):
        with path.open("rb") as file:
            header = file.read(20)
        if header[:4] != b"\x7fELF" or int.from_bytes(header[18:20], "little") != ELF_MACHINES[machine]:
            found.append(str(path.relative_to(root)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--machine", choices=sorted(ELF_MACHINES), required=True)
    parser.add_argument("--services", nargs="+", required=True)
    options = parser.parse_args()
    for service in options.services:
        if not (options.root / "botocore" / "data" / service).is_dir():
            parser.error(f"botocore describes no service {service!r}")
    for path in list(unused(options.root, options.services)):
        remove(path)
    rewrite_descriptions(options.root / "botocore" / "data", options.services)
    if foreign := foreign_libraries(options.root, options.machine):
        sys.stderr.write(f"not for {options.machine}: {', '.join(foreign)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
