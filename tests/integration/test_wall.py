"""Namespaces are a wall: whatever one client knows of another's, the service answers as if there were no such thing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ferry.aws import cursors
from tests.integration.conftest import new_stack
from tests.integration.stack import Result, Stack, document, modules
from tests.support.ghosts import KIB64, Request, Victim, honest, twins

PROTECTED = sorted(key for module in modules().values() for key, scope in module.app.scopes.items() if scope)
OTHER = "the others"
SEVERAL = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # a counterexample is small as it is, and every try needs two namespaces
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
JSON = "application/json"
OCTETS = {"content-type": "application/octet-stream"}
CONTENT = bytes(range(256)) * 256 + b"the rest"
GONE_BY = re.compile(
    rb"(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)|(?P<id>[0-9a-f]{32})|(?P<version>\"version\":\d+)|(?P<signed>X-Amz-[\w-]+=[^&\"]+)"
    rb"|(?P<milliseconds>\d{13})"
)
attackers = count()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with new_stack() as made:
        yield made


def send(stack: Stack, token: str, name: str, index: int, body: bytes) -> None:
    query = {"filename": name, "chunk_index": str(index)}
    assert stack.call("POST /upload/chunk", query=query, headers=OCTETS, body=body, token=token).status == 200


@pytest.fixture(scope="module")
def victim(stack: Stack) -> Victim:
    """A namespace with a finished file, an upload half done, one straight to S3 and a cancelled one."""
    token = stack.token(OTHER)

    def start(name: str, **more: object) -> str:
        wanted = {"filename": name, "size": len(CONTENT), "chunk_size": KIB64, **more}
        upload_id: str = stack.post("POST /upload/start", wanted, token=token).json["upload_id"]
        return upload_id

    whole = start("finished.bin", fingerprint="inode 7", metadata={"who": "secret agent"})
    send(stack, token, "finished.bin", 1, CONTENT[:KIB64])
    send(stack, token, "finished.bin", 2, CONTENT[KIB64:])
    file = stack.post("POST /upload/complete", {"filename": "finished.bin"}, token=token).json
    half = start("half.bin", fingerprint="inode 8")
    send(stack, token, "half.bin", 1, CONTENT[:KIB64])
    direct = start("direct.bin")
    wanted = {"filename": "direct.bin", "parts": [{"part_number": 1}]}
    (part,) = stack.post("POST /upload/parts", wanted, token=token).json["parts"]
    cancelled = start("cancelled.bin")
    stack.call("DELETE /upload/{filename}", filename="cancelled.bin", token=token)
    link = stack.call("GET /download", query={"filename": "finished.bin", "redirect": "false"}, token=token).json
    files = cursors.encode(("files", OTHER, ""), ["cancelled.bin"]), cursors.encode(("files", "nobody", ""), ["x"])
    slots = cursors.encode(("slots", OTHER), ["direct.bin"]), cursors.encode(("slots", "nobody"), ["x"])
    return Victim(
        names=tuple((name, f"ghost of {name}") for name in ("finished.bin", "half.bin", "direct.bin", "cancelled.bin")),
        upload_ids=tuple((real, real[::-1]) for real in (whole, half, direct, cancelled)),
        cursors=(files, slots),
        etags=((file["etag"], '"0123456789abcdef-1"'),),
        urls=tuple((url, url[::-1]) for url in (part["url"], link["url"])),
        fingerprints=(("inode 7", "inode 5"), ("inode 8", "inode 6")),
        crcs=((file["checksum"]["value"], "AAAAAA=="),),
        content=CONTENT,
        sizes=(len(CONTENT),),
        token=token,
    )


@dataclass(frozen=True)
class Witness:
    """Who saw what the victim had, in the ledger and in S3, and says whether it still has that."""

    dynamodb: Any
    s3: Any
    ids: Sequence[str]

    def look(self) -> object:
        keys = [f"N#{OTHER}", *(f"U#{one}{rest}" for one in self.ids for rest in ("", "#0", "#1", "#2"))]
        rows = [row for key in keys for row in self._rows(key)]
        listed = self.s3.list_objects_v2(Bucket="bucket").get("Contents", [])
        uploads = self.s3.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
        objects = [(entry["Key"], entry["ETag"]) for entry in listed if self._is_theirs(entry)]
        return rows, objects, sorted(entry["UploadId"] for entry in uploads if self._is_theirs(entry))

    def _rows(self, key: str) -> list[Any]:
        given = {":pk": {"S": key}}
        found = self.dynamodb.query(
            TableName="ledger", KeyConditionExpression="pk = :pk", ExpressionAttributeValues=given
        )
        return list(found["Items"])

    def _is_theirs(self, entry: Mapping[str, Any]) -> bool:
        return any(one in entry["Key"] for one in self.ids)


@pytest.fixture(scope="module")
def unchanged(victim: Victim) -> Callable[[], bool]:
    witness = Witness(boto3.client("dynamodb"), boto3.client("s3"), [real for real, _ in victim.upload_ids])
    before = witness.look()
    return lambda: witness.look() == before


def told(result: Result, request: Request) -> object:
    """An answer without what differs from one request to the next, and without what the request itself has said."""
    sent = [request.filename, *request.query.values()]
    sent += re.findall(
        r'"(?:filename|upload_id|fingerprint)": "((?:[^"\\]|\\.)*)"', (request.body or b"").decode("latin-1")
    )

    def plain(text: bytes) -> bytes:
        for value in sorted((value for value in sent if value and len(value) > 5), key=len, reverse=True):
            text = text.replace(value.encode(), b"<sent>")
        return GONE_BY.sub(lambda found: b"<%s>" % (found.lastgroup or "").encode(), text)

    headers = sorted((name, plain(value.encode())) for name, value in result.headers.items())
    return result.status, headers, plain(result.body)


def named(request: Request) -> str:
    """The name that a request is about, wherever it has it."""
    of_body = json.loads(request.body or b"{}").get("filename") if request.headers.get("content-type") == JSON else None
    return request.filename or request.query.get("filename") or of_body or "none"


def operation(key: str) -> Mapping[str, Any]:
    method, _, path = key.partition(" ")
    found: Mapping[str, Any] = document()["paths"][path][method.lower()]
    return found


def ask(stack: Stack, key: str, request: Request, ns: str, **more: dict[str, str]) -> Result:
    return stack.call(
        key,
        filename=request.filename,
        query=request.query | more.get("query", {}),
        headers=request.headers | more.get("headers", {}),
        body=request.body,
        token=stack.token(ns),
    )


@pytest.mark.parametrize("key", PROTECTED)
def test_what_others_have_is_like_what_nobody_has(
    stack: Stack, victim: Victim, unchanged: Callable[[], bool], key: str
) -> None:
    """The same status, headers and body for both; nothing of theirs is told, and nothing of theirs has changed."""

    @SEVERAL
    @given(twins(operation(key), document()["components"]["schemas"], victim), st.booleans())
    def holds(requests: tuple[Request, Request], has_one_too: bool) -> None:
        check(stack, victim, key, requests, has_one_too)
        assert unchanged()

    holds()
    for which in range(len(victim.names)):
        check(stack, victim, key, honest(operation(key), document()["components"]["schemas"], victim, which), False)
    assert unchanged()


def check(stack: Stack, victim: Victim, key: str, requests: tuple[Request, Request], has_one_too: bool) -> None:
    """`has_one_too`: the attacker has an upload of its own under the name that the request has."""
    real, ghost = requests
    answers = []
    for request in requests:
        ns = f"attacker {next(attackers)}"
        if has_one_too:
            stack.post("POST /upload/start", {"filename": named(request), "size": 5}, token=stack.token(ns))
        answers.append(ask(stack, key, request, ns))
    assert told(answers[0], real) == told(answers[1], ghost)
    sent = repr(real)
    for secret in (*victim.secrets, "secret agent", OTHER):
        assert secret in sent or secret not in repr(answers[0])


@pytest.mark.parametrize("key", PROTECTED)
def test_a_token_counts_in_the_authorization_header_and_nowhere_else(
    stack: Stack, victim: Victim, unchanged: Callable[[], bool], key: str
) -> None:
    """In a query, a cookie or another header it opens nothing: neither alone, nor beside a token of one's own."""
    elsewhere: dict[str, dict[str, str]] = {
        "query": {"access_token": victim.token, "authorization": f"Bearer {victim.token}"},
        "headers": {"x-authorization": f"Bearer {victim.token}", "cookie": f"access_token={victim.token}"},
    }
    name, _ = victim.names[0]
    request = Request(filename=name if "{filename}" in key else None, query={"filename": name, "dry_run": "true"})
    beside = ask(stack, key, request, "nosy", **elsewhere)
    # Some routes refuse parameters they do not know, so what is compared has them too, without a token in them.
    nobodys = {place: dict.fromkeys(values, "x") for place, values in elsewhere.items()}
    assert told(beside, request) == told(ask(stack, key, request, "curious", **nobodys), request)
    alone = stack.call(
        key,
        filename=request.filename,
        query=request.query | elsewhere["query"],
        headers=elsewhere["headers"],
        token=None,
    )
    assert alone.status == 401
    assert unchanged()


def test_every_route_of_the_gateway_is_behind_the_wall_or_open() -> None:
    """A route in no function's table would be on neither list."""
    known = {key for module in modules().values() for key in module.app.scopes}
    assert {f"{method.upper()} {path}" for path, item in document()["paths"].items() for method in item} == known
    assert known - set(PROTECTED) == {
        "POST /auth/token",
        "GET /.well-known/jwks.json",
        "GET /openapi.json",
        "GET /health",
    }
