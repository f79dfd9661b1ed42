"""Names in the documents exist: paths, make targets, environment variables, parameters, metrics, error codes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ferry import errors, link_errors
from ferry.http import request_errors

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")])
HISTORY = {"CHANGELOG.md"}
"""Pages that name what is gone."""

PATH_ROOTS = (".", "layers/common", "layers/common/ferry", "docs")
CODE_SPAN = re.compile(r"`([^`\n]+)`")
REPOSITORY_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)+(?:\.(?:py|md|yaml|yml|sh|toml|json|txt|svg)|/)|[a-z]+/")
MADE_WHEN_RUN = (".local/", "build/", ".aws-sam/", "site/")
OAUTH_ERRORS = {"invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "unsupported_grant_type"}
GATEWAY_CODE_PATTERN = re.compile(r"\b[45]\d\d `([a-z_]+)`")


def pages() -> list[Path]:
    return [page for page in PAGES if page.name not in HISTORY]


def code_spans(page: Path) -> set[str]:
    """Return the code spans of a page, outside its blocks."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return set(CODE_SPAN.findall(text))


def exists(path: str) -> bool:
    name = path.removeprefix("/")
    return any((ROOT / folder / name).exists() for folder in PATH_ROOTS)


def subclasses(kind: type[errors.FerryError]) -> Iterator[type[errors.FerryError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from subclasses(each)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_named_paths_exist(page: Path) -> None:
    """A path in a code span is a file or folder of the repository."""
    paths = {span.partition("::")[0] for span in code_spans(page) if REPOSITORY_PATH.fullmatch(span.partition("::")[0])}
    # `o/` and `st/` are prefixes in S3; media types look like paths.
    paths = {
        path
        for path in paths
        if "NAME" not in path and not path.startswith((*MADE_WHEN_RUN, "o/", "st/", "application/", "text/"))
    }
    assert {path for path in paths if not exists(path)} == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_named_make_targets_exist(page: Path) -> None:
    """`make NAME` is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(
        re.findall(r"(?:^|`|&& )make ([a-z][a-z-]*)(?!-?[A-Z])\b", page.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert named - targets == set()


def test_named_environment_variables_exist(template: Any) -> None:
    """A FERRY_ variable is one that the template gives to a function, or one of the examples and tools."""
    functions = [resource for resource in template["Resources"].values() if resource["Type"].endswith("::Function")]
    declared = set(template["Globals"]["Function"]["Environment"]["Variables"])
    for function in functions:
        declared |= set(function["Properties"].get("Environment", {}).get("Variables", {}))
    named = {span for page in pages() for span in code_spans(page) if re.fullmatch(r"FERRY_[A-Z_]+", span)}
    assert "FERRY_METADATA_TABLE" in named
    command = {
        f"FERRY_{name}"
        for name in ("URL", "CLIENT_ID", "CLIENT_SECRET", "CONFIG_DIR", "STATE_DIR", "LINK_PASSWORD", "CA_FILE")
    }
    assert named - declared - command - {"FERRY_TOKEN", "FERRY_ARCHITECTURE"} == set()


def test_named_error_codes_exist() -> None:
    """A code after a status, as in 409 `chunk_conflict`, is one of the error tree."""
    codes = {kind.code for kind in subclasses(errors.FerryError)} | OAUTH_ERRORS
    assert {request_errors.BodyTooLarge.code, link_errors.LinkExpired.code} <= codes
    named = {code for page in pages() for code in GATEWAY_CODE_PATTERN.findall(page.read_text(encoding="utf-8"))}
    assert len(named) > 15
    assert named - codes == set()


def test_every_error_code_is_in_a_guide() -> None:
    """A client developer finds each code of the upload routes in the guide of its protocol."""
    pages = ("docs/upload-guide.md", "docs/resumable-protocols.md", "docs/links.md")
    guide = "".join((ROOT / page).read_text(encoding="utf-8") for page in pages)
    codes = {kind.code for kind in subclasses(errors.FerryError)}
    elsewhere = {
        "unauthorized",
        "gone",
        "conflict",
        "not_found",
        "route_not_found",
        "invalid_request",
        "malformed_body",
        "forbidden",
        "too_large",
        "too_many_attempts",
    }
    downloads = {"precondition_failed", "range_not_satisfiable", "destination_forbidden"}
    assert {code for code in codes - elsewhere - downloads if f"`{code}`" not in guide} == set()


@pytest.mark.parametrize("page", ["operations.md", "limits.md", "local-development.md", "status.md", "concepts.md"])
def test_named_parameters_exist(template: Any, page: str) -> None:
    """A code span that looks like a parameter is one of the template."""
    parameters = set(template["Parameters"])
    pattern = re.compile(r"[A-Z][a-zA-Z]+(?:Seconds|Limit|Days|Origins|Polls|Arn|Schedule|Issuer)")
    named = {span.partition("=")[0] for span in code_spans(ROOT / "docs" / page)}
    looks_alike = {span for span in named if pattern.fullmatch(span)} - {"OldestStaleSeconds"}
    assert looks_alike - parameters == set()


def test_documented_metrics_are_written(root: Path) -> None:
    """Each metric of the operations guide is a name in the code that writes metrics."""
    page = (root / "docs/operations.md").read_text(encoding="utf-8")
    metrics = set(re.findall(r"^\| ((?:`[A-Z]\w+`(?:, )?)+) \| ", page, re.MULTILINE))
    names = {name for cell in metrics for name in re.findall(r"`([A-Z]\w+)`", cell)}
    assert {"OldestStaleSeconds", "OrphanObjects", "SweepErrors"} <= names
    sources = [*(root / "layers/common/ferry").rglob("*.py"), *(root / "functions").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert {name for name in names if name not in text} == set()


@pytest.mark.parametrize(("page", "schema"), [("upload-guide.md", "UploadPlan"), ("status.md", "StatusBody")])
def test_example_responses_have_members_of_schema(root: Path, page: str, schema: str) -> None:
    """The first JSON block of a guide has the required members of its schema and no unknown ones."""
    document: Any = json.loads((root / "docs/openapi.json").read_text(encoding="utf-8"))
    block = re.search(r"^```json\n(.*?)^```$", (root / "docs" / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert block is not None
    example, expected = json.loads(block[1]), document["components"]["schemas"][schema]
    assert set(expected["required"]) <= set(example) <= set(expected["properties"])


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs/decisions").glob("0*.md")), ROOT / "docs/architecture.md"])
def test_identifiers_in_design_pages_exist(root: Path, page: Path) -> None:
    """Attributes, functions and settings that a design page names are in the code or the template."""
    sources = [
        path
        for folder in ("layers/common/ferry", "functions", "admin", "dev", "tests")
        for path in (root / folder).rglob("*.py")
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*sources, root / "template.yaml"])
    words = {word for span in code_spans(page) for word in re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b", span)}
    file_names = {path.stem for path in sources} | {path.parent.name for path in sources}
    assert {word for word in words - file_names if word not in text} == set()
