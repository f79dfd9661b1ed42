"""The locks: every file pinned by hash, and what is tested is what ships."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

RUNTIME_LOCK = Path("layers/common/requirements.txt")
DEV_LOCK = Path("requirements/dev.txt")
BENCH_LOCK = Path("requirements/bench.txt")
DOCS_LOCK = Path("requirements/docs.txt")
LOCALSTACK_LOCK = Path("requirements/localstack.txt")
CHECKOV_LOCK = Path("requirements/checkov.txt")
PIN_PATTERN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)(\[[^]]*])?==(?P<version>[^ ;]+)( ; (?P<marker>.+?))? \\$")
HASH_PATTERN = re.compile(r"^ {4}--hash=sha256:[0-9a-f]{64}( \\)?$")


def pins(path: Path) -> dict[str, set[str]]:
    """The versions by name (several where they differ by Python)."""
    found: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := PIN_PATTERN.match(line):
            found.setdefault(match["name"], set()).add(match["version"])
    return found


@pytest.mark.parametrize(
    "lock", [RUNTIME_LOCK, DEV_LOCK, BENCH_LOCK, DOCS_LOCK, LOCALSTACK_LOCK, CHECKOV_LOCK], ids=str
)
def test_lock_holds_only_pins_and_hashes(lock: Path, root: Path) -> None:
    """No address of an index, no option, no unpinned or unhashed requirement."""
    previous = ""
    for line in (root / lock).read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("#"):
            continue
        assert PIN_PATTERN.match(line) or HASH_PATTERN.match(line), line
        if PIN_PATTERN.match(line):
            assert not previous.endswith("\\"), f"{previous} has no hash"
        previous = line


def test_dev_lock_contains_runtime_pins(root: Path) -> None:
    """Every shipped pin is in the developers' lock with the same version."""
    ships, develops = pins(root / RUNTIME_LOCK), pins(root / DEV_LOCK)
    assert ships
    assert {name: develops.get(name) for name in ships} == ships


def test_runtime_lock_has_no_platform_markers(root: Path) -> None:
    """pip judges markers by the Python that runs it, which is not the one that the layer is for."""
    for line in (root / RUNTIME_LOCK).read_text(encoding="utf-8").splitlines():
        if (match := PIN_PATTERN.match(line)) and match["marker"]:
            assert not re.search(r"python_version|python_full_version|platform_machine|sys_platform|os_name", line), (
                line
            )


def test_layer_keeps_botocore_data_of_used_services(root: Path) -> None:
    """botocore's description of a service that is not listed is cut from the layer."""
    makefile = (root / "layers/common/Makefile").read_text(encoding="utf-8")
    (services,) = re.findall(r"^SERVICES := (.+)$", makefile, re.MULTILINE)
    used = set()
    for path in (root / "layers/common/ferry").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                first = node.args[0] if node.args else None
                if "client" in name and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    used.add(first.value)
    assert used == set(services.split())
