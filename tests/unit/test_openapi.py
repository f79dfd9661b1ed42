"""The OpenAPI document: names of operations, bodies, examples and error codes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).parents[2]
FILE_TYPES = ["application/octet-stream", "*/*"]
RESUMABLE_TYPES = ["application/octet-stream", "application/offset+octet-stream", "application/partial-upload"]
"""The draft takes any type at creations, and before interop version 6 at appends; the first one stands for it."""
DIALECT = jsonschema.Draft202012Validator


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))
    return loaded


def operations() -> list[tuple[str, dict[str, Any]]]:
    """Every operation, with its route key."""
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    ]


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """The component that a reference object refers to; any other object as it is."""
    if "$ref" not in node:
        return node
    found: Any = document()
    for key in node["$ref"].removeprefix("#/").split("/"):
        found = found[key]
    resolved: dict[str, Any] = found
    return resolved


def contents() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every body of the document: where it is, its media type, and its media type object."""
    for key, operation in operations():
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{key} request", kind, content
        for status, response in operation["responses"].items():
            for kind, content in resolve(response).get("content", {}).items():
                yield f"{key} {status}", kind, content


CONTENTS = list(contents())


def validate(schema: dict[str, Any], value: object) -> None:
    whole = {**schema, "components": document()["components"]}
    DIALECT(whole, format_checker=DIALECT.FORMAT_CHECKER).validate(value)


def test_operation_ids_are_unique_lower_camel_case() -> None:
    """Generated clients call their functions by these names."""
    names = [operation["operationId"] for _, operation in operations()]
    assert [name for name in names if not re.fullmatch("[a-z]+([A-Z][a-z]+)*", name)] == []
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_operations_have_declared_tag_and_summary() -> None:
    """The document groups its operations, and each group has a description."""
    declared = {tag["name"] for tag in document()["tags"]}
    assert {tag for _, operation in operations() for tag in operation["tags"]} == declared
    assert all(operation["summary"] for _, operation in operations())


@pytest.mark.parametrize(("place", "kind", "content"), CONTENTS, ids=[f"{place} {kind}" for place, kind, _ in CONTENTS])
def test_body_has_valid_examples(place: str, kind: str, content: dict[str, Any]) -> None:
    """Every body but raw bytes and this document itself has an example, and every example is valid."""
    DIALECT.check_schema(content["schema"])
    found = [resolve(example)["value"] for example in content.get("examples", {}).values()]
    found += [content["example"]] if "example" in content else []
    is_binary = content["schema"].get("format") == "binary"
    assert found or is_binary or kind.startswith("text/") or "openapi.json" in place
    for example in found:
        validate(content["schema"], example)


@pytest.mark.parametrize(("key", "operation"), operations(), ids=[key for key, _ in operations()])
def test_parameter_has_valid_example_and_description(key: str, operation: dict[str, Any]) -> None:
    """Every parameter says what it means; examples and defaults are valid."""
    for parameter in operation.get("parameters", ()):
        assert parameter["description"].endswith("."), parameter["name"]
        for value in (parameter.get("example"), parameter["schema"].get("default")):
            if value is not None:
                validate(parameter["schema"], value)
    assert ("{" in key) == any(entry["in"] == "path" for entry in operation.get("parameters", ()))


def test_every_member_has_description() -> None:
    """Members of component schemas say their unit and meaning."""
    missing = [
        f"{name}.{member}"
        for name, schema in document()["components"]["schemas"].items()
        for member, described in schema.get("properties", {}).items()
        if not described.get("description", "").endswith((".", ":"))
    ]
    assert missing == []


def test_file_bytes_have_any_media_type() -> None:
    """A response with bytes of a file has the type of the file, and names one type that generators of clients read."""
    downloads = {key: op for key, op in operations() if key.startswith("GET /download")}
    for operation in downloads.values():
        assert list(operation["responses"]["200"]["content"]) == [*FILE_TYPES, "application/json"]
        assert list(operation["responses"]["206"]["content"]) == FILE_TYPES
    assert len(downloads) == 4


@pytest.mark.parametrize(
    ("key", "media_types"),
    [
        ("POST /auth/token", ["application/x-www-form-urlencoded", "application/json"]),
        ("POST /upload/chunk", ["application/json", "application/octet-stream"]),
        ("PATCH /uploads/{upload_id}", RESUMABLE_TYPES),
        ("PATCH /l/{secret}/uploads/{upload_id}", RESUMABLE_TYPES),
        ("POST /uploads", RESUMABLE_TYPES),
    ],
)
def test_request_lists_each_media_type(key: str, media_types: list[str]) -> None:
    """A route that reads several media types lists all of them, and none that it rejects."""
    assert list(dict(operations())[key]["requestBody"]["content"]) == media_types


def test_head_responses_have_no_content() -> None:
    """A response to HEAD has no body (RFC 9110 section 9.3.2), errors included."""
    heads = [operation for key, operation in operations() if key.startswith("HEAD")]
    responses = [(status, resolve(response)) for head in heads for status, response in head["responses"].items()]
    assert [status for status, response in responses if "content" in response] == []
    assert len(heads) == len([key for key, _ in operations() if key.startswith("GET")])


def test_error_responses_list_codes_of_problem() -> None:
    """`code` of a problem is an enumeration; each error response names those of it that it can have."""
    known = document()["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    listed = set()
    for place, kind, content in CONTENTS:
        if kind == "application/problem+json":
            codes = content["schema"]["properties"]["code"]["enum"]
            assert codes == list(content["examples"]), place
            listed |= set(codes)
    assert sorted(listed) == known
