"""The five functions over moto, called as the gateway calls them. Every answer is held against the OpenAPI document."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema

from dev.local.clients import ClientTable
from ferry import wiring
from ferry.model.auth import Client
from tests.integration.events import REQUEST_ID, build_event
from tests.support.calls import CallWatcher

ROOT = Path(__file__).parents[2]
OCTET_STREAM = "application/octet-stream"
READ, WRITE, ADMIN = "files:read", "files:write", "files:admin"
SECRET = "a secret of tests"


class Context:
    """What the platform tells of an invocation."""

    function_name = "function"
    aws_request_id = "of-lambda"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@cache
def function_modules() -> Mapping[str, ModuleType]:
    """The functions' modules by folder: all are called `app`."""
    return {path.parent.name: _load(path) for path in sorted(ROOT.glob("functions/*/app.py"))}


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ferry_function_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def openapi_document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))
    return loaded


def put_client(client: Client) -> None:
    """Store a client in the stack's auth table."""
    ClientTable(wiring.aws_session().dynamodb, wiring.settings().auth_table).put_client(client)


@dataclass(frozen=True)
class Result:
    """An answer as a client sees it: header names in lower case, the body decoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.json["code"]
        return code


@dataclass
class Stack:
    """The functions, what they call at AWS, and the tokens of the clients used so far."""

    call_recorder: CallWatcher = field(default_factory=CallWatcher)
    _tokens: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)

    def new_process(self) -> None:
        """What follows happens in a process that has kept nothing: no client, no key, no hint."""
        clear_wiring_caches()
        self.call_recorder.attach(wiring.aws_session()._session)

    def forget_tokens(self) -> None:
        """What follows gets tokens of its own."""
        self._tokens.clear()

    def invoke(self, function: str, payload: Mapping[str, Any]) -> Any:
        """What the function's handler returns for an event. Fails if it called what template.yaml does not grant it."""
        with self.call_recorder.assert_permitted(f"{function.capitalize()}Function"):
            return function_modules()[function].lambda_handler(payload, Context())

    def request(
        self,
        route_key: str,
        *,
        filename: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        token: str | None = "",
    ) -> Result:
        """One request. Without `token`: one with every scope in the namespace `demo`; None: no token at all."""
        sent = dict(headers or {})
        if token is not None and not route_key.startswith(
            ("POST /auth", "GET /health", "GET /openapi", "GET /.well-known")
        ):
            sent = {"authorization": f"Bearer {token or self.token()}", **sent}
        function = next(name for name, module in function_modules().items() if route_key in module.app.scopes)
        built = build_event(route_key, filename=filename, query=query, headers=sent, body=body)
        result = to_result(self.invoke(function, built))
        validate_against_openapi(route_key, result)
        return result

    def post_json(self, route_key: str, content: object, **options: Any) -> Result:
        """One request with a JSON body; `content` as bytes is sent as it is."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"content-type": "application/json", **options.pop("headers", {})}
        return self.request(route_key, headers=headers, body=body, **options)

    def token(self, ns: str = "demo", *scopes: str) -> str:
        """An access token, issued by the service itself."""
        wanted = scopes or (READ, WRITE, ADMIN)
        if (ns, wanted) not in self._tokens:
            client_id = f"{ns}-{'-'.join(wanted)}"
            hashes = (hashlib.sha256(SECRET.encode()).digest(),)
            put_client(Client(client_id, ns, frozenset(wanted), hashes))
            body = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": SECRET}
            self._tokens[ns, wanted] = self.post_json("POST /auth/token", body).json["access_token"]
        return self._tokens[ns, wanted]

    def upload(self, name: str, content: bytes, **options: object) -> dict[str, Any]:
        """A finished file, sent in chunks of the usual size, or none; its view."""
        started = self.post_json("POST /upload/start", {"filename": name, "size": len(content), **options})
        assert started.status == 201, started.body
        length = started.json["chunk_size"]
        for index in range(1, started.json["chunk_count"] + 1):
            query = {"filename": name, "chunk_index": str(index)}
            headers = {"content-type": "application/octet-stream"}
            body = content[(index - 1) * length : index * length]
            assert self.request("POST /upload/chunk", query=query, headers=headers, body=body).status == 200
        finished = self.post_json("POST /upload/complete", {"filename": name})
        assert finished.status == 200, finished.body
        view: dict[str, Any] = finished.json
        return view


def clear_wiring_caches() -> None:
    """As in a fresh process: nothing was made yet."""
    for factory in vars(wiring).values():
        if hasattr(factory, "cache_clear"):
            factory.cache_clear()


def to_result(response: Mapping[str, Any]) -> Result:
    """What a client gets of a function's answer."""
    body = response.get("body") or ""
    content = base64.b64decode(body) if response["isBase64Encoded"] else body.encode()
    headers = {name.lower(): value for name, value in response["headers"].items()}
    assert headers["x-request-id"] == REQUEST_ID
    return Result(response["statusCode"], headers, content)


def validate_against_openapi(route_key: str, result: Result) -> None:
    """Fail when the OpenAPI document does not have this route, this status, this media type or this body."""
    method, _, path = route_key.partition(" ")
    responses = openapi_document()["paths"][path][method.lower()]["responses"]
    assert str(result.status) in responses, f"{route_key} answered {result.status}: {result.body[:500]!r}"
    content = responses[str(result.status)].get("content", {})
    kind = result.headers.get("content-type", "")
    is_file = "content-disposition" in result.headers
    if is_file:  # sent with its own type, and documented as bytes
        assert not result.body or OCTET_STREAM in content, f"{route_key} answered {result.status} with a file"
    if is_file or not result.body:
        return
    assert kind in content, f"{route_key} answered {result.status} as {kind}"
    schema = {**content[kind]["schema"], "components": openapi_document()["components"]}
    jsonschema.Draft202012Validator(schema).validate(result.json)
