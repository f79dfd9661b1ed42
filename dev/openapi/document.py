"""Generate the OpenAPI document and the schemas of request bodies: `python -m dev.openapi.document`.

With `--check`, fail if what is written is stale.

Routes and scopes come from the functions, statuses from the table of errors, bodies from the request models and the
response dataclasses. A route without a description, and a description without a route, are errors.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from dev.openapi import examples, request_schemas
from dev.openapi.operation import ANY_TYPE, OCTET_STREAM, ErrorType, Operation, ResponseDoc
from dev.openapi.parameters import RESPONSE_HEADERS
from dev.openapi.routes import OPERATIONS
from dev.openapi.schemas import Schema, build_schemas, reference
from dev.paths import ROOT
from ferry import __version__, errors
from ferry.http.json_values import to_json
from ferry.http.problems import MEDIA_TYPE, status_of
from ferry.http.response import JSON
from ferry.http.responses.problems import Problem
from ferry.http.router import Router

SERVED_PATH = ROOT / "layers/common/ferry/http/openapi.json"
DOCS_PATH = ROOT / "docs/openapi.json"

SCOPES = {
    "files:read": "Download files, list files, read the status of uploads.",
    "files:write": "Upload files, delete files.",
    "files:share": "Create, list and delete links.",
    "files:admin": "Clean up stale uploads.",
}
TAGS = {
    "auth": "Access tokens and the keys that verify them.",
    "uploads": "Upload a file in chunks through the API, in parts straight to S3, or both.",
    "resumable": "Upload a file by tus 1.0.0 or by the IETF draft of resumable uploads.",
    "downloads": "Download files and ranges of files.",
    "files": "List and delete finished files.",
    "links": "Share files with people without an account.",
    "status": "Follow uploads in progress.",
    "cleanup": "Remove what stale uploads left.",
    "service": "The service itself.",
}
DESCRIPTION = """\
Ferry moves files over connections that break. Times are RFC 3339 in UTC, sizes are bytes, and chunks and parts count
from 1.

Unknown JSON members are rejected, except at `/auth/token`. Errors are problem details (RFC 9457) with a stable `code`;
where several codes are listed for a status, `code` says which error it is. The gateway sends some responses without
calling a function: an unknown route (404), a body over 10 MB (413), a throttled request (429), a request line and
headers of more than 10,240 bytes (431), and a function that is not available or takes longer than 30 seconds (503).
Their body is `{"message": …}`, and they have none of the headers that are described here.
"""

_REASON_PHRASES = {
    460: "Checksum Mismatch",
    413: "Content Too Large",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""Phrases of RFC 9110 section 15.5. Python has them since 3.13; the document is the same on every version."""

_THROTTLED = "Too many requests. The gateway sends this response."
_HEADERS_TOO_LARGE = "The request line and the headers exceed 10,240 bytes. The gateway sends this response."
_ERROR_HEADERS: dict[ErrorType, str] = {
    errors.AuthError: "WWW-Authenticate",
    errors.RangeNotSatisfiable: "Content-Range",
    errors.BackendUnavailable: "Retry-After",
    errors.CompletionInProgress: "Retry-After",
    errors.TooManyAttempts: "Retry-After",
}
_AUTH_ERRORS: tuple[ErrorType, ...] = (errors.MissingToken, errors.InvalidToken, errors.InsufficientScope)
_COMMON_ERRORS: tuple[ErrorType, ...] = (errors.FerryError, errors.BackendUnavailable)


_PAGES_FUNCTION = "web"
"""The function that serves the pages: they are not operations of the API."""


def load_routers() -> dict[str, Router]:
    """Return the router of every function, by the name of its folder."""
    folders = (path.parent for path in sorted(ROOT.glob("functions/*/app.py")))
    return {folder.name: _load_router(folder / "app.py") for folder in folders if folder.name != _PAGES_FUNCTION}


def route_scopes() -> dict[str, str | None]:
    """Return every route that the functions serve, with the scope that it requires."""
    return {key: scope for router in load_routers().values() for key, scope in router.scopes.items()}


def documented_key(route_key: str) -> str:
    """Return method and path of a route as the document has them.

    OpenAPI has no greedy parameters: `{filename+}` is `{filename}` there, and its description says what it spans.
    """
    return route_key.replace("+}", "}")


def build_document() -> dict[str, Any]:
    """Return the OpenAPI document. Raises `ValueError` when served and described routes differ."""
    scopes = route_scopes()
    if scopes.keys() != OPERATIONS.keys():
        raise ValueError(f"served and described routes differ: {sorted(scopes.keys() ^ OPERATIONS.keys())}")
    schemas, components = build_schemas(dict.fromkeys(_body_types()))
    kinds = {kind.code: kind for key, operation in OPERATIONS.items() for kind in _error_types(operation, scopes[key])}
    components["Problem"]["properties"]["code"]["enum"] = sorted(kinds)
    paths: dict[str, Any] = {}
    for key, operation in OPERATIONS.items():
        method, _, path = documented_key(key).partition(" ")
        described = _operation(operation, scopes[key], schemas, is_head=method == "HEAD")
        paths.setdefault(path, {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ferry",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": _components(components, kinds),
    }


def _gateway_responses(name: str, description: str, message: str) -> dict[str, Any]:
    """Return a response of the gateway's own, and its form without a body for HEAD."""
    content = {JSON: {"schema": reference("GatewayMessage"), "example": {"message": message}}}
    return {f"{name}Head": {"description": description}, name: {"description": description, "content": content}}


def _components(schemas: dict[str, Schema], error_types: Mapping[str, ErrorType]) -> dict[str, Any]:
    return {
        "schemas": schemas,
        "examples": {code: {"value": to_json(examples.problem(kind))} for code, kind in sorted(error_types.items())},
        "headers": {
            name: {"description": text, "schema": {"type": "string"}} for name, text in RESPONSE_HEADERS.items()
        },
        "responses": {
            **_gateway_responses("Throttled", _THROTTLED, "Too Many Requests"),
            **_gateway_responses("HeadersTooLarge", _HEADERS_TOO_LARGE, "Request Header Fields Too Large"),
        },
        "securitySchemes": {
            "token": {
                "type": "oauth2",
                "description": "`Authorization: Bearer <token>`.",
                "flows": {"clientCredentials": {"tokenUrl": "/auth/token", "scopes": SCOPES}},
            },
            "client": {"type": "http", "scheme": "basic", "description": "A client's id and secret."},
        },
    }


def _load_router(path: Path) -> Router:
    spec = importlib.util.spec_from_file_location(f"ferry_function_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    router: Router = module.app
    return router


def _body_types() -> Iterator[Any]:
    """Yield the types of all JSON bodies."""
    yield Problem
    for operation in OPERATIONS.values():
        if operation.body is not None:
            yield operation.body
        yield from (response.body for response in operation.responses.values() if response.body is not None)


def _operation(operation: Operation, scope: str | None, schemas: dict[Any, Schema], *, is_head: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.operation_id,
        "tags": [operation.tag],
        "summary": operation.summary,
    }
    if operation.description:
        described["description"] = operation.description
    described["security"] = _security(operation, scope)
    if operation.parameters:
        described["parameters"] = [parameter.describe() for parameter in operation.parameters]
    if content := _request_content(operation, schemas):
        described["requestBody"] = {"required": operation.is_body_required, "content": content}
    responses = {status: _response(response, schemas) for status, response in operation.responses.items()}
    by_status = _by_status(_error_types(operation, scope))
    for status, kind in operation.other_statuses:
        by_status.setdefault(status, {}).setdefault(kind.code, kind)
    for status, kinds in by_status.items():
        # The token endpoint describes its errors itself.
        responses.setdefault(status, _error_response(status, kinds, is_head=is_head))
    for status in () if is_head else operation.error_page_statuses:
        responses[status]["content"]["text/html; charset=utf-8"] = {"schema": {"type": "string"}}
    described["responses"] = {str(status): responses[status] for status in sorted(responses)}
    suffix = "Head" if is_head else ""
    if 429 in responses:  # of the function, beside the gateway's own
        described["responses"]["429"]["content"][JSON] = {
            "schema": reference("GatewayMessage"),
            "example": {"message": "Too Many Requests"},
        }
    else:
        described["responses"]["429"] = {"$ref": f"#/components/responses/Throttled{suffix}"}
    described["responses"]["431"] = {"$ref": f"#/components/responses/HeadersTooLarge{suffix}"}
    return described


def _security(operation: Operation, scope: str | None) -> list[dict[str, list[str]]]:
    if scope is not None:
        return [{"token": [scope]}]
    return [{"client": []}, {}] if operation.operation_id == "issueToken" else []


def _request_content(operation: Operation, schemas: dict[Any, Schema]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if operation.body is not None and operation.body_example is not None:
        example = operation.body_example.model_dump(mode="json", exclude_unset=True, by_alias=True)
        content[operation.body.media_type] = {"schema": schemas[operation.body], "example": example}
    for media_type, schema in operation.other_bodies.items():
        example = {} if schema.get("format") == "binary" else {"example": examples.TOKEN_FORM}
        content[media_type] = {"schema": schema, **example}
    return content


def _response(response: ResponseDoc, schemas: dict[Any, Schema]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": response.description, "headers": _headers(*response.headers)}
    content: dict[str, Any] = {}
    if response.binary:
        # The bytes have the type of the file. One type is also named, because generators of clients read no ranges.
        for media_type in (OCTET_STREAM, ANY_TYPE):
            content[media_type] = {"schema": {"type": "string", "format": "binary"}}
    if response.text_type:
        content[response.text_type] = {"schema": {"type": "string"}}
    if response.body is not None:
        example = {} if response.example is None else {"example": to_json(response.example)}
        content[JSON] = {"schema": schemas[response.body], **example}
    return {**described, "content": content} if content else described


def _error_types(operation: Operation, scope: str | None) -> Iterable[ErrorType]:
    return (*(_AUTH_ERRORS if scope else ()), *operation.error_types, *_COMMON_ERRORS)


def _by_status(kinds: Iterable[ErrorType]) -> dict[int, dict[str, ErrorType]]:
    """Return the errors by status and code, in the order of `kinds`."""
    found: dict[int, dict[str, ErrorType]] = {}
    for kind in kinds:
        found.setdefault(status_of(kind), {}).setdefault(kind.code, kind)
    return found


def _reason_phrase(status: int) -> str:
    return _REASON_PHRASES.get(status) or HTTPStatus(status).phrase


def _error_response(status: int, kinds: dict[str, ErrorType], *, is_head: bool) -> dict[str, Any]:
    described = {
        "description": f"{_reason_phrase(status)}: {', '.join(f'`{code}`' for code in kinds)}.",
        "headers": _headers(
            *{name: None for kind in kinds.values() for base, name in _ERROR_HEADERS.items() if issubclass(kind, base)}
        ),
    }
    if is_head:  # a response to HEAD has no content
        return described
    # Keywords beside a reference hold as well (JSON Schema 2020-12); generators of clients then see one class.
    schema = {**reference("Problem"), "properties": {"code": {"enum": list(kinds)}}}
    shown = {code: {"$ref": f"#/components/examples/{code}"} for code in kinds}
    return {**described, "content": {MEDIA_TYPE: {"schema": schema, "examples": shown}}}


def _headers(*names: str) -> dict[str, Schema]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, "X-Request-Id")}


def main(arguments: list[str]) -> int:
    document = build_document()
    texts = {
        SERVED_PATH: json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n",
        DOCS_PATH: json.dumps(document, ensure_ascii=False, indent=2) + "\n",
        request_schemas.PATH: request_schemas.build_text(),
    }
    if arguments == ["--check"]:
        stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not up to date: run `make openapi`\n")
        return 1 if stale else 0
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
