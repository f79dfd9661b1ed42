"""The lock files: every package pinned by hash, and tested in the version that is deployed."""

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
AWSCLI_LOCK = Path("requirements/awscli.txt")
RUN_LOCK = Path("requirements/run.txt")
PIN_PATTERN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)(\[[^]]*])?==(?P<version>[^ ;]+)( ; (?P<marker>.+?))? \\$")
HASH_PATTERN = re.compile(r"^ {4}--hash=sha256:[0-9a-f]{64}( \\)?$")


def pins(path: Path) -> dict[str, set[str]]:
    """Return the pinned versions by name; several where they differ by Python version."""
    found: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := PIN_PATTERN.match(line):
            found.setdefault(match["name"], set()).add(match["version"])
    assert found, f"{path} pins nothing"
    return found


@pytest.mark.parametrize(
    "lock",
    [RUNTIME_LOCK, DEV_LOCK, RUN_LOCK, BENCH_LOCK, DOCS_LOCK, LOCALSTACK_LOCK, CHECKOV_LOCK, AWSCLI_LOCK],
    ids=str,
)
def test_lock_holds_only_pins_and_hashes(lock: Path, root: Path) -> None:
    """A lock has no index address, no option, no unpinned and no unhashed requirement."""
    assert pins(root / lock)
    previous = ""
    for line in (root / lock).read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("#"):
            continue
        assert PIN_PATTERN.match(line) or HASH_PATTERN.match(line), line
        if PIN_PATTERN.match(line):
            assert not previous.endswith("\\"), f"{previous} has no hash"
        previous = line


def test_dev_lock_contains_runtime_pins(root: Path) -> None:
    """The developers' lock has every deployed package in the same version."""
    runtime, dev = pins(root / RUNTIME_LOCK), pins(root / DEV_LOCK)
    assert {name: dev.get(name) for name in runtime} == runtime


def test_lock_of_the_local_service_is_part_of_the_developers_lock(root: Path) -> None:
    """What `make run` installs alone are the same versions as in the whole environment, and far fewer packages."""
    run, dev = pins(root / RUN_LOCK), pins(root / DEV_LOCK)
    assert {name: dev.get(name) for name in run} == run
    assert len(run) < len(dev) / 3


def test_runtime_lock_has_no_platform_markers(root: Path) -> None:
    """The runtime lock has no markers: pip would evaluate them for its own Python instead of the layer's."""
    assert pins(root / RUNTIME_LOCK)
    for line in (root / RUNTIME_LOCK).read_text(encoding="utf-8").splitlines():
        if (match := PIN_PATTERN.match(line)) and match["marker"]:
            assert not re.search(r"python_version|python_full_version|platform_machine|sys_platform|os_name", line), (
                line
            )


def test_layer_keeps_botocore_data_of_used_services(root: Path) -> None:
    """The layer's makefile keeps botocore's descriptions of exactly the services that Ferry uses."""
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
    assert used
    assert used == set(services.split())
