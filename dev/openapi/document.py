"""Writes the OpenAPI document: `python -m dev.openapi.document`, or with `--check` says whether what is written is still true.

Routes and scopes come from the functions, statuses from the table of errors, bodies from the models that validate them.
A route without a description, or a description without a route, is an error.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from dev.openapi.routes import FILENAME_PATH, FILENAME_QUERY, JSON, OPERATIONS, ErrorType, Operation, ResponseDoc
from dev.openapi.schemas import SCHEMAS, Schema, ref
from dev.paths import ROOT
from ferry import __version__, errors
from ferry.http.problems import MEDIA_TYPE, status_of
from ferry.http.router import Router

SERVED_PATH = ROOT / "layers/common/ferry/http/openapi.json"
DOCS_PATH = ROOT / "docs/openapi.json"

SCOPES = {
    "files:read": "Download, list, status.",
    "files:write": "Upload, delete.",
    "files:admin": "Clean up.",
}
DESCRIPTION = """\
Moves files over links that break. Times are RFC 3339 in UTC, sizes bytes, chunks and parts counted from 1.

Unknown JSON members are refused, except at `/auth/token`. Errors are problem details (RFC 9457) with a stable `code`;
where several are listed for one status, `code` tells them apart. What the gateway refuses by itself (an unknown route
404, a body over 10 MB 413, a throttled request 429, a function that is not there 503) has `{"message": …}` instead, and
none of the headers named here.
"""

HEADERS: dict[str, str] = {
    "Accept-Ranges": "`bytes`.",
    "Cache-Control": "Who may keep the answer.",
    "Content-Disposition": "`attachment` with the name (RFC 6266).",
    "Content-Length": "Bytes of this answer, of the file for HEAD.",
    "Content-Range": "Which bytes these are, of how many; with 416 `bytes */size`.",
    "ETag": "Strong.",
    "Last-Modified": "The date that S3 gives the file: when its upload began.",
    "Location": "A presigned URL.",
    "Repr-Digest": "The whole file's `crc32c` (RFC 9530).",
    "Retry-After": "Seconds.",
    "WWW-Authenticate": "How to authenticate.",
    "X-Request-Id": "Names this request in the logs.",
}
_ERROR_HEADERS: dict[int, str] = {
    401: "WWW-Authenticate",
    403: "WWW-Authenticate",
    416: "Content-Range",
    503: "Retry-After",
}
_AUTH_ERRORS: tuple[ErrorType, ...] = (errors.MissingToken, errors.InvalidToken, errors.InsufficientScope)
_COMMON_ERRORS: tuple[ErrorType, ...] = (errors.FerryError, errors.BackendUnavailable)


def load_routers() -> dict[str, Router]:
    """Every function's app, by the name of its folder."""
    return {path.parent.name: _load_router(path) for path in sorted(ROOT.glob("functions/*/app.py"))}


def route_scopes() -> dict[str, str | None]:
    """Every route the functions serve, with the scope it needs."""
    return {key: scope for app in load_routers().values() for key, scope in app.scopes.items()}


def build_document() -> dict[str, Any]:
    """The OpenAPI document. Raises `ValueError` when what is served is not what is described."""
    served = route_scopes()
    if served.keys() != OPERATIONS.keys():
        raise ValueError(f"served and described differ: {sorted(served.keys() ^ OPERATIONS.keys())}")
    paths: dict[str, Any] = {}
    for key, operation in OPERATIONS.items():
        method, _, path = key.partition(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(key, operation, served[key])
    models = [(operation.body, "validation") for operation in OPERATIONS.values() if operation.body]
    _, bodies = models_json_schema(list(dict.fromkeys(models)), ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]  # the tuples' literal is widened by the comprehension
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ferry",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**SCHEMAS, **_without_titles(bodies["$defs"])}.items())),
            "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()},
            "responses": {
                "Throttled": {
                    "description": "Too many requests; the gateway's own answer.",
                    "content": {JSON: {"schema": ref("GatewayMessage")}},
                }
            },
            "securitySchemes": {
                "token": {
                    "type": "oauth2",
                    "description": "`Authorization: Bearer <token>`.",
                    "flows": {"clientCredentials": {"tokenUrl": "/auth/token", "scopes": SCOPES}},
                },
                "client": {"type": "http", "scheme": "basic", "description": "A client's id and secret."},
            },
        },
    }


def _load_router(path: Path) -> Router:
    spec = importlib.util.spec_from_file_location(f"ferry_function_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app: Router = module.app
    return app


def _operation(key: str, operation: Operation, scope: str | None) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": _operation_id(key), "summary": operation.summary}
    if operation.description:
        described["description"] = operation.description
    described["security"] = _security(key, scope)
    if parameters := _parameters(key, operation):
        described["parameters"] = parameters
    if content := _content(operation):
        described["requestBody"] = {"required": True, "content": content}
    described["responses"] = _responses(operation, scope)
    return described


def _operation_id(key: str) -> str:
    words = key.lower().replace(".well-known/", "").replace(".json", "").replace("{filename}", "by-path")
    return words.replace(" /", "-").replace("/", "-")


def _security(key: str, scope: str | None) -> list[dict[str, list[str]]]:
    if scope is not None:
        return [{"token": [scope]}]
    return [{"client": []}, {}] if key == "POST /auth/token" else []


def _parameters(key: str, operation: Operation) -> list[Schema]:
    parameters = list(operation.parameters)
    if "{filename}" in key:
        return [FILENAME_PATH, *parameters]
    has_name = any(parameter["name"] == "filename" for parameter in parameters)
    return [FILENAME_QUERY, *parameters] if f"{key}/{{filename}}" in OPERATIONS and not has_name else parameters


def _content(operation: Operation) -> dict[str, Any]:
    content = {JSON: {"schema": ref(operation.body.__name__)}} if operation.body else {}
    return content | {kind: {"schema": schema} for kind, schema in operation.other_bodies.items()}


def _responses(operation: Operation, scope: str | None) -> dict[str, Any]:
    responses = {status: _response(answer) for status, answer in operation.responses.items()}
    refusals = (*(_AUTH_ERRORS if scope else ()), *operation.error_types, *_COMMON_ERRORS)
    by_status: dict[int, list[str]] = {}
    for kind in refusals:
        codes = by_status.setdefault(status_of(kind), [])
        if kind.code not in codes:
            codes.append(kind.code)
    for status, codes in by_status.items():
        responses.setdefault(status, _error_response(status, codes))
    described: dict[str, Any] = {str(status): responses[status] for status in sorted(responses)}
    return described | {"429": {"$ref": "#/components/responses/Throttled"}}


def _response(response_doc: ResponseDoc) -> dict[str, Any]:
    described: dict[str, Any] = {"description": response_doc.description, "headers": _headers(*response_doc.headers)}
    if response_doc.content:
        described["content"] = {kind: {"schema": schema} for kind, schema in response_doc.content.items()}
    return described


def _error_response(status: int, codes: list[str]) -> dict[str, Any]:
    schema = {"allOf": [ref("Problem"), {"properties": {"code": {"enum": codes}}}]}
    return {
        "description": HTTPStatus(status).phrase,
        "headers": _headers(*([_ERROR_HEADERS[status]] if status in _ERROR_HEADERS else [])),
        "content": {MEDIA_TYPE: {"schema": schema}},
    }


def _headers(*names: str) -> dict[str, Schema]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, "X-Request-Id")}


def _without_titles(schemas: dict[str, Any]) -> dict[str, Any]:
    """Without the titles that pydantic makes up from the members' names."""
    for schema in schemas.values():
        schema.pop("title", None)
        for member in schema.get("properties", {}).values():
            member.pop("title", None)
    return schemas


def main(arguments: list[str]) -> int:
    described = build_document()
    wanted = {
        SERVED_PATH: json.dumps(described, ensure_ascii=False, separators=(",", ":")) + "\n",
        DOCS_PATH: json.dumps(described, ensure_ascii=False, indent=2) + "\n",
    }
    if arguments == ["--check"]:
        stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not what the code says: run `make openapi`\n")
        return 1 if stale else 0
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
