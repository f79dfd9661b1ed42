"""Call the functions of this checkout on the tables, the bucket and the key of a deployed stack, in this process."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib.util
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import boto3
from moto import mock_aws

from dev.deploy_check.stacks import Stack
from dev.errors import CheckError
from dev.local.apigw_event import GatewayRequest, build_event, new_request_id
from dev.local.clients import ALL_SCOPES, ClientTable
from dev.local.routing import Route, match_route
from dev.local.stack import REGION
from dev.paths import ROOT
from ferry import wiring
from ferry.model.auth import Client

EMULATED_SERVICES = ("dynamodb", "kms")
"""Services of the emulator that the functions call. Its S3 has no CRC32C: objects are in moto, in a bucket of the name
that the stack's bucket has. Events stay pending.
"""
CLIENT_ID, NAMESPACE, CLIENT_SECRET = "deploy-check", "deploy-check", "of the deploy check"
MAX_QUOTED_OUTPUT = 2000
"""Characters of the functions' output in an error."""

_output = io.StringIO()
"""What the functions write to stdout."""


class _Context:
    """Stands in for Lambda's context object."""

    function_name = "function"
    aws_request_id = "of-deploy-check"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


@dataclass(frozen=True, slots=True)
class FunctionResponse:
    """A response of a function."""

    status: int
    """The HTTP status code."""
    body: bytes
    """The content, decoded from base64 where the function encoded it."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def objects_in_memory(stack: Stack) -> Iterator[None]:
    """Keep the objects of the stack's bucket in memory for the block: `s3_in_memory` and the functions use them."""
    with mock_aws():
        s3_in_memory().create_bucket(Bucket=stack.resources["Bucket"])
        yield


def s3_in_memory() -> Any:
    """Return a client of the objects in memory."""
    client: Any = boto3.client("s3", endpoint_url=f"https://s3.{REGION}.amazonaws.com")
    return client


class StackFunctions:
    """The functions of this checkout, with the environment variables that a stack gives to its functions.

    Use it inside `objects_in_memory`.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._token = ""

    def add_client(self) -> None:
        """Write a client of the namespace to the stack's auth table."""
        with self._environment("auth"):
            hashes = (hashlib.sha256(CLIENT_SECRET.encode()).digest(),)
            client = Client(CLIENT_ID, NAMESPACE, frozenset(ALL_SCOPES), hashes)
            ClientTable(wiring.aws_session().dynamodb, wiring.settings().auth_table).put_client(client)

    def authenticate(self) -> None:
        """Get an access token for the client. Raises `CheckError`."""
        credentials = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        body = {"grant_type": "client_credentials", **credentials}
        self._token = self.json("POST", "/auth/token", body)["access_token"]

    def json(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """Return the JSON of a request that succeeds. Raises `CheckError` if it fails."""
        return self.request(method, path, body, **query).json

    def download(self, name: str) -> bytes:
        """Return the bytes of a file. Raises `CheckError` if the request fails."""
        return self.request("GET", f"/download/{name}").body

    def request(self, method: str, path: str, body: object = None, **query: str) -> FunctionResponse:
        """Return the response of a request that succeeds. `body` is sent as it is if it is bytes, else as JSON.

        Raises:
            CheckError: the status is not 2xx.
        """
        is_raw = isinstance(body, bytes)
        headers = {"host": "api.example", "content-type": "application/octet-stream" if is_raw else "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        request = GatewayRequest(
            method=method,
            raw_path=path.encode(),
            raw_query=urlencode(query).encode(),
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            body=b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode(),
            client_ip="192.0.2.1",
        )
        routes = [route for route in _routes() if _logical_id(route.function) in self._stack.resources]
        match = match_route(routes, method, path)
        if match is None:
            raise CheckError(f"no function of {self._stack.name} has a route for {method} {path}")
        event = build_event(request, match, request_id=new_request_id())
        with self._environment(match.route.function) as app, contextlib.redirect_stdout(_output):
            response = app.lambda_handler(event, _Context())
        content = response.get("body") or ""
        decoded = base64.b64decode(content) if response["isBase64Encoded"] else content.encode()
        if not 200 <= response["statusCode"] < 300:
            raise CheckError(
                f"{method} {path} on {self._stack.name} answers {response['statusCode']}: {decoded!r}\n"
                f"The functions wrote: {_output.getvalue()[-MAX_QUOTED_OUTPUT:]}"
            )
        return FunctionResponse(response["statusCode"], decoded)

    @contextmanager
    def _environment(self, function: str) -> Iterator[Any]:
        """Set the environment of the deployed function for the block, and return the module of its code."""
        url, before = os.environ["AWS_ENDPOINT_URL"], dict(os.environ)
        os.environ |= _deployed_variables(self._stack.resources[_logical_id(function)])
        del os.environ["AWS_ENDPOINT_URL"]
        os.environ["FERRY_ENDPOINTS"] = ",".join(f"{service}={url}" for service in EMULATED_SERVICES)
        _clear_caches()
        try:
            yield _load(function)
        finally:
            os.environ.clear()
            os.environ.update(before)
            _clear_caches()


def _logical_id(function: str) -> str:
    """Return the logical id of the function whose code is in the folder `functions/<function>`."""
    return f"{function.capitalize()}Function"


def _deployed_variables(function_name: str) -> Mapping[str, str]:
    configuration = boto3.client("lambda").get_function_configuration(FunctionName=function_name)
    return configuration["Environment"]["Variables"]


def _clear_caches() -> None:
    """Empty the caches of every factory of `ferry.wiring`, which keep the settings of the last stack."""
    for factory in vars(wiring).values():
        if hasattr(factory, "cache_clear"):
            factory.cache_clear()


@cache
def _routes() -> list[Route]:
    """Return the routes of all functions, each with the name of the function's folder."""
    names = sorted(path.parent.name for path in ROOT.glob("functions/*/app.py"))
    return [
        Route(key.partition(" ")[0], key.partition(" ")[2], name) for name in names for key in _load(name).app.scopes
    ]


@cache
def _load(function: str) -> ModuleType:
    """Return the module `functions/<function>/app.py`."""
    path = ROOT / "functions" / function / "app.py"
    spec = importlib.util.spec_from_file_location(f"deploy_check_{function}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
