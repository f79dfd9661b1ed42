"""The service's OpenAPI document: what the client may send, and what the service in memory may respond.

Every request of every test is checked against it, and so is every response that `FakeService` makes. Members of a
response that no test looks at come from the document's own examples. So client, service in memory and service cannot
drift apart.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema

from ferry_client.transport import HttpRequest, HttpResponse

_DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"

_ALWAYS_SENT = {"authorization", "content-type", "content-length", "range", "user-agent"}
"""Header fields that OpenAPI documents elsewhere, or that every request may have."""


@functools.cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    parsed: dict[str, Any] = json.loads(_DOCUMENT.read_text(encoding="utf-8"))
    return parsed


def path_template(path: str) -> str:
    """Return the path of the document that a request's path matches; the path itself if there is none."""
    paths = document()["paths"]
    if path in paths:
        return path
    templates = (template for template in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path))
    return next(templates, path)


def operation_of(request: HttpRequest) -> dict[str, Any]:
    """Return the operation that a request calls. Raises `AssertionError` if there is none."""
    path, method = path_template(urlsplit(request.url).path), request.method.lower()
    operation = document()["paths"].get(path, {}).get(method)
    assert operation, f"the document has no {request.method} {path}"
    found: dict[str, Any] = operation
    return found


def check_request(request: HttpRequest, body: bytes) -> None:
    """Raise unless the document has the request's operation, parameters, header fields and body."""
    operation = operation_of(request)
    parameters = operation.get("parameters", ())
    known = {parameter["name"].lower(): parameter for parameter in parameters}
    query = parse_qs(urlsplit(request.url).query, keep_blank_values=True)
    for name, values in query.items():
        assert name in known, f"{request.method} {request.url} has no parameter {name}"
        value: Any = values[0]
        if known[name]["schema"].get("type") == "integer":
            value = int(value)
        if known[name]["schema"].get("type") == "boolean":
            value = {"true": True, "false": False}[value]
        _validator(json.dumps(known[name]["schema"])).validate(value)
    unknown = {name.lower() for name in request.headers} - set(known) - _ALWAYS_SENT
    assert not unknown, f"{request.method} {urlsplit(request.url).path} has no header {unknown}"
    media_type = request.headers.get("Content-Type", "").partition(";")[0]
    if media_type:
        content = operation["requestBody"]["content"]
        assert media_type in content, f"{request.method} {request.url} takes no {media_type}"
        if media_type == "application/json":
            _validator(json.dumps(content[media_type]["schema"])).validate(json.loads(body))


def completed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return a response with the members that the document requires and the fake leaves out.

    Raises:
        AssertionError, jsonschema.ValidationError: the document has no such response.
    """
    operation = operation_of(request)
    documented = operation["responses"].get(str(response.status))
    assert documented, f"{request.method} {request.url} never responds with {response.status}"
    documented = _resolve(documented)
    content = {name: value for name, value in documented.get("content", {}).items() if name.endswith("json")}
    if request.method == "HEAD" or not content or not response.headers.get("content-type", "").endswith("json"):
        return response
    media_type = next(iter(content.values()))
    made = response.json()
    required = _required_of(media_type["schema"], made)
    examples = (example for example in _examples(media_type, made) if required <= {*example, *made})
    example = next(examples, {})
    body = {**{name: value for name, value in example.items() if name in required}, **made}
    _validator(json.dumps(media_type["schema"])).validate(body)
    return HttpResponse(response.status, response.headers, json.dumps(body).encode())


def _examples(media_type: Mapping[str, Any], made: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the document's examples of a response: of problems, that of the same code alone."""
    if "example" in media_type:
        yield media_type["example"]
    examples = media_type.get("examples", {})
    for name, example in examples.items():
        if "code" not in made or made["code"] == name:
            yield _resolve(example)["value"]
    yield from (value for name, value in _schema_examples().items() if "code" not in made)


@functools.cache
def _schema_examples() -> dict[str, dict[str, Any]]:
    """Return the example of each operation's first success, for responses of several kinds."""
    plan = document()["paths"]["/upload/start"]["post"]["responses"]["201"]["content"]["application/json"]["example"]
    return {"plan": plan}


def _resolve(node: Mapping[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = document()
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = {**target, **{name: value for name, value in node.items() if name != "$ref"}}
    return dict(node)


def _required_of(schema: Mapping[str, Any], made: Mapping[str, Any]) -> set[str]:
    """Return the required members: of several kinds, those of the kind that shares most with what was made."""
    options = [_resolve(option) for option in schema.get("oneOf", schema.get("anyOf", ()))] or [_resolve(schema)]
    chosen = max(options, key=lambda option: len({*option.get("properties", ())} & {*made}))
    return set(chosen.get("required", ()))


@functools.cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**json.loads(schema), "components": document()["components"]})
