"""Call the functions over moto as API Gateway calls them. Every response is validated against docs/openapi.json."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

import jsonschema

from dev.local.clients import ClientTable
from ferry import wiring
from ferry.http import log
from ferry.model.auth import Client
from tests.integration.events import REQUEST_ID, build_event
from tests.support.calls import CallWatcher

ROOT = Path(__file__).parents[2]
OCTET_STREAM = "application/octet-stream"
READ, WRITE, SHARE, ADMIN = "files:read", "files:write", "files:share", "files:admin"
SECRET = "a secret of tests"
BEHIND_OWN_URL = {"chunk"}
"""Functions that API Gateway does not invoke."""
SIGNATURE = re.compile(r"X-Amz-Signature=[0-9a-f]{64}")
"""The signature of a presigned URL."""


class Context:
    """Stands in for Lambda's context object."""

    function_name = "function"
    aws_request_id = "of-lambda"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@cache
def function_modules() -> Mapping[str, ModuleType]:
    """Return the module of each function by the name of its folder. All modules are called `app`."""
    return {path.parent.name: _load(path) for path in sorted(ROOT.glob("functions/*/app.py"))}


@cache
def function_of(route_key: str) -> str:
    """Return the name of the function that API Gateway invokes for a route."""
    return next(
        name
        for name, module in function_modules().items()
        if route_key in module.app.scopes and name not in BEHIND_OWN_URL
    )


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ferry_function_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def openapi_document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))
    return document


def sent_text(payload: Mapping[str, Any]) -> str:
    """Return everything that an event contains, its body decoded."""
    body = payload.get("body") or ""
    if payload.get("isBase64Encoded"):
        body = base64.b64decode(body).decode("latin-1")
    return unquote(json.dumps({**payload, "body": body}))


@contextmanager
def recorded_audit_events() -> Iterator[list[str]]:
    """Yield the names of the audit events that are logged from now on."""
    events: list[str] = []
    write = log.audit

    def record(event: str, *arguments: Any, **options: Any) -> None:
        events.append(event)
        write(event, *arguments, **options)

    with patch.object(log, "audit", record):
        yield events


def put_client(client: Client) -> None:
    """Store a client in the stack's auth table."""
    ClientTable(wiring.aws_session().dynamodb, wiring.settings().auth_table).put_client(client)


@dataclass(frozen=True)
class Result:
    """A response as a client receives it."""

    status: int
    headers: Mapping[str, str]
    """By name, in lower case."""
    body: bytes
    """Decoded from base64 where the function encoded it."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.json["code"]
        return code


@dataclass
class Stack:
    """The functions over one set of backends."""

    call_recorder: CallWatcher = field(default_factory=CallWatcher)
    """Records the calls of the functions to AWS."""
    _tokens: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)

    def new_process(self) -> None:
        """Empty all caches of the functions, as in a new instance."""
        clear_wiring_caches()
        self.call_recorder.attach(wiring.aws_session()._session)

    def forget_tokens(self) -> None:
        """Empty the cache of `token`, so that later requests get new access tokens."""
        self._tokens.clear()

    def invoke(self, function: str, payload: Mapping[str, Any]) -> Any:
        """Return what the function's handler returns for an event.

        Fail if template.yaml does not grant its calls, and if it hands out presigned URLs without an audit event.
        """
        with (
            self.call_recorder.assert_permitted(f"{function.capitalize()}Function"),
            recorded_audit_events() as audit_events,
        ):
            response = function_modules()[function].lambda_handler(payload, Context())
        signatures = set(SIGNATURE.findall(json.dumps(response)))
        if signatures:
            # A name that a request sends may be such a URL, and comes back in the response.
            signatures -= set(SIGNATURE.findall(sent_text(payload)))
        assert bool(signatures) == ("url.issue" in audit_events)
        return response

    def request(
        self,
        route_key: str,
        *,
        filename: str | None = None,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        token: str | None = "",
        raw_query: str | None = None,
        received_at: int | None = None,
    ) -> Result:
        """Send one request and return its response.

        By default the request has an access token with every scope in the namespace `demo`; with `token` None it has
        none. `path` has the parameters of the path beside the filename. A header given in `headers` overrides the
        token, and `raw_query` the encoding of `query`. `received_at` is the event's `timeEpoch`, in milliseconds.
        """
        request_headers = dict(headers or {})
        if token is not None and not route_key.partition(" ")[2].startswith(
            ("/auth", "/health", "/openapi", "/.well-known", "/l/", "/robots.txt")
        ):
            request_headers = {"authorization": f"Bearer {token or self.token()}", **request_headers}
        function = function_of(route_key)
        event = build_event(route_key, filename=filename, path=path, query=query, headers=request_headers, body=body)
        if received_at is not None:
            event["requestContext"]["timeEpoch"] = received_at
        if raw_query is not None:
            event["rawQueryString"] = raw_query
        result = to_result(self.invoke(function, event))
        validate_against_openapi(route_key, result)
        return result

    def post_json(self, route_key: str, content: object, **options: Any) -> Result:
        """Send one request with a JSON body. `content` is sent unchanged if it is bytes."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"content-type": "application/json", **options.pop("headers", {})}
        return self.request(route_key, headers=headers, body=body, **options)

    def token(self, ns: str = "demo", *scopes: str) -> str:
        """Return an access token that the service issued, with the given scopes, or with all of them."""
        requested = scopes or (READ, WRITE, SHARE, ADMIN)
        if (ns, requested) not in self._tokens:
            client_id = f"{ns}-{'-'.join(requested)}"
            hashes = (hashlib.sha256(SECRET.encode()).digest(),)
            put_client(Client(client_id, ns, frozenset(requested), hashes))
            body = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": SECRET}
            self._tokens[ns, requested] = self.post_json("POST /auth/token", body).json["access_token"]
        return self._tokens[ns, requested]

    def upload(self, name: str, content: bytes, **options: object) -> dict[str, Any]:
        """Upload a file in chunks of the default size, complete it, and return the response of the completion."""
        started = self.post_json("POST /upload/start", {"filename": name, "size": len(content), **options})
        assert started.status == 201, started.body
        chunk_size = started.json["chunk_size"]
        for index in range(1, started.json["chunk_count"] + 1):
            query = {"filename": name, "chunk_index": str(index)}
            headers = {"content-type": OCTET_STREAM}
            body = content[(index - 1) * chunk_size : index * chunk_size]
            assert self.request("POST /upload/chunk", query=query, headers=headers, body=body).status == 200
        completed = self.post_json("POST /upload/complete", {"filename": name})
        assert completed.status == 200, completed.body
        file: dict[str, Any] = completed.json
        return file


def clear_wiring_caches() -> None:
    """Empty the caches of every factory in `ferry.wiring`."""
    for factory in vars(wiring).values():
        if hasattr(factory, "cache_clear"):
            factory.cache_clear()


def to_result(response: Mapping[str, Any]) -> Result:
    """Return what a client receives when a function returns this response."""
    body = response.get("body") or ""
    content = base64.b64decode(body) if response["isBase64Encoded"] else body.encode()
    headers = {name.lower(): value for name, value in response["headers"].items()}
    assert headers["x-request-id"] == REQUEST_ID
    return Result(response["statusCode"], headers, content)


def validate_against_openapi(route_key: str, result: Result) -> None:
    """Fail when the OpenAPI document does not have this route, this status, this media type or this body."""
    content = _documented_content(route_key, str(result.status))
    assert content is not None, f"{route_key} answered {result.status}: {result.body[:500]!r}"
    media_type = result.headers.get("content-type", "")
    is_file = "content-disposition" in result.headers
    if is_file:  # sent with its own type, and documented as bytes
        assert not result.body or OCTET_STREAM in content, f"{route_key} answered {result.status} with a file"
    if is_file or not result.body:
        return
    assert media_type in content, f"{route_key} answered {result.status} as {media_type}"
    if not media_type.endswith("json"):
        return
    _response_validator(route_key, str(result.status), media_type).validate(result.json)


def documented_key(route_key: str) -> str:
    """Return method and path as the OpenAPI document has them, which knows no greedy parameters."""
    return route_key.replace("+}", "}")


def _documented_content(route_key: str, status: str) -> dict[str, Any] | None:
    """Return the media types that a route's response may have; None if the route has no such status."""
    method, _, path = documented_key(route_key).partition(" ")
    responses = openapi_document()["paths"][path][method.lower()]["responses"]
    return responses[status].get("content", {}) if status in responses else None


@cache
def _response_validator(route_key: str, status: str, media_type: str) -> jsonschema.Draft202012Validator:
    content = _documented_content(route_key, status)
    assert content is not None
    schema = {**content[media_type]["schema"], "components": openapi_document()["components"]}
    return jsonschema.Draft202012Validator(schema)
