"""The tests, parameters and lint rules that docs/security.md names exist."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

TEST_PATTERN = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
PARAMETER_PATTERN = re.compile(r"`([A-Z]\w+(?:RateLimit|BurstLimit|TtlSeconds|Origins))`")
RULE_PATTERN = re.compile(r"`(S\d{3})`")


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs/security.md").read_text(encoding="utf-8")


def test_every_threat_names_existing_test(page: str, root: Path) -> None:
    """Each row of the threat table names at least one test, and every named test is defined."""
    rows = [row for row in page.partition("## Threats")[2].partition("\n## ")[0].splitlines() if row.startswith("| ")]
    assert len(rows) > 20
    for row in rows[1:]:
        assert TEST_PATTERN.search(row.split(" | ")[-1]), row
    for path, name in TEST_PATTERN.findall(page):
        tree = ast.parse((root / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{path}::{name}"


def test_named_parameters_exist(page: str, template: Any) -> None:
    """Every parameter on the page is one of the template's."""
    named = set(PARAMETER_PATTERN.findall(page))
    assert {"TokenRateLimit", "PresignedUrlTtlSeconds", "CorsOrigins"} <= named
    assert named <= template["Parameters"].keys()


def test_disabled_rules_are_documented(page: str, root: Path) -> None:
    """Ruff's security rules are enabled; the page lists each exception, for a folder or a line."""
    lint = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    ignored = {*lint["ignore"], *(rule for rules in lint["per-file-ignores"].values() for rule in rules)}
    sources = [path for folder in ("layers", "functions", "dev", "admin") for path in (root / folder).rglob("*.py")]
    for path in sources:
        ignored |= set(re.findall(r"# noqa: (S\d{3})", path.read_text(encoding="utf-8")))
    documented = set(RULE_PATTERN.findall(page)) | ({"S106"} if "`S105` to `S107`" in page else set())
    assert {rule for rule in ignored if re.fullmatch(r"S\d{3}", rule)} <= documented
    assert (root / "SECURITY.md").is_file()
