"""Remove from an installed tree what the functions do not load, and check that its libraries fit the runtime's machine.

License texts stay, because the licenses require them. METADATA stays, because `importlib.metadata` reads it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import shutil
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
"""`e_machine` of the ELF header."""

BOTOCORE_COMMON = {"_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json"}
"""Files of botocore's data folder that every client loads."""

UNUSED_DESCRIPTIONS = ("examples-*", "waiters-*", "paginators-*", "service-2.sdk-extras.json")
"""Files of a service's data that clients do not load."""

UNUSED_FOLDERS = (
    *("bin", "**/tests", "**/__pycache__", "boto3/data", "boto3/examples"),
    # cryptography loads cffi's compiled module only; these two generate C.
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
    ".lock",  # of uv
    *("**/*.pyi", "**/py.typed", "**/*.pyx", "**/*.c", "**/*.h", "pydantic/mypy.py"),
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.min.*",
)
UNUSED_METADATA = ("INSTALLER", "RECORD", "REQUESTED", "WHEEL", "direct_url.json", "top_level.txt", "sboms")


_WORD = re.compile(r"[a-z0-9_]+")


def unused(root: Path, services: Sequence[str]) -> Iterator[Path]:
    """Yield the files and folders below `root` that no function loads."""
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


def rewrite_descriptions(data: Path, services: Sequence[str], sources: Path) -> None:
    """Uncompress the services' descriptions, and remove documentation, unused operations and other services' endpoints.

    Every cold start reads these files. Documentation is two thirds of a description, the operations that Ferry uses are
    a seventh of the others, and the endpoints are those of four hundred services.
    """
    words = frozenset(word for path in sources.rglob("*.py") for word in _WORD.findall(path.read_text("utf-8")))
    for service in services:
        for path in (data / service).glob("*/*.json.gz"):
            description = without_documentation(json.loads(gzip.decompress(path.read_bytes())))
            if "operations" in description:
                description = without_unused_operations(description, words)
            write(path.with_suffix(""), description)
            path.unlink()
    endpoints = json.loads((data / "endpoints.json").read_bytes())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: value for name, value in partition["services"].items() if name in services}
    write(data / "endpoints.json", endpoints)


def without_unused_operations(description: dict[str, Any], words: Collection[str]) -> dict[str, Any]:
    """Return a copy with the operations whose methods' names are among the words of the sources, and their shapes."""
    operations = {
        name: operation for name, operation in description["operations"].items() if method_name(name) in words
    }
    shapes: dict[str, Any] = {}
    unread: list[Any] = [operations]
    while unread:
        value = unread.pop()
        if isinstance(value, list):
            unread += value
        elif isinstance(value, dict):
            unread += value.values()
            name = value.get("shape")
            if isinstance(name, str) and name in description["shapes"] and name not in shapes:
                shapes[name] = description["shapes"][name]
                unread.append(shapes[name])
    return {**description, "operations": operations, "shapes": dict(sorted(shapes.items()))}


def method_name(operation: str) -> str:
    """Return the name of a client's method: `list_objects_v2` for `ListObjectsV2`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()


def without_documentation(description: Any) -> Any:
    """Return a copy with empty `documentation` texts. The members stay, because botocore reads some of them."""
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
    """Return the shared libraries that are not ELF files for `machine`. Both of Lambda's machines are little-endian."""
    foreign = []
    for path in sorted(root.glob("**/*.so*")):
        with path.open("rb") as file:
            header = file.read(20)
        if header[:4] != b"\x7fELF" or int.from_bytes(header[18:20], "little") != ELF_MACHINES[machine]:
            foreign.append(str(path.relative_to(root)))
    return foreign


def main() -> int:
    """Return 0 if the tree was trimmed, 1 if a library is for another machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--machine", choices=sorted(ELF_MACHINES), required=True)
    parser.add_argument("--services", nargs="+", required=True)
    parser.add_argument("--sources", type=Path, required=True, help="code that names the operations that it uses")
    options = parser.parse_args()
    for service in options.services:
        if not (options.root / "botocore" / "data" / service).is_dir():
            parser.error(f"botocore has no service {service!r}")
    for path in list(unused(options.root, options.services)):
        remove(path)
    rewrite_descriptions(options.root / "botocore" / "data", options.services, options.sources)
    if foreign := foreign_libraries(options.root, options.machine):
        sys.stderr.write(f"libraries for another machine than {options.machine}: {', '.join(foreign)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
