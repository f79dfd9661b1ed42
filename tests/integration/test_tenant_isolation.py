"""Tenant isolation: for what belongs to another namespace, every route responds as if it did not exist."""

from __future__ import annotations

import base64
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
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from ferry.aws import cursors
from ferry.errors import InvalidFilename
from ferry.rules.filenames import normalize_filename
from ferry.rules.free_names import name_with_mark
from ferry.rules.listing import encode_cursor
from tests.integration.conftest import new_stack
from tests.integration.stack import Result, Stack, documented_key, function_modules, openapi_document
from tests.support.isolation_requests import CHUNK_BYTES, IsolationRequest, Victim, request_pairs, valid_request_pair

PROTECTED = sorted(key for module in function_modules().values() for key, scope in module.app.scopes.items() if scope)
LINK_PATHS = ("/l/{secret}", "/l/{secret}/files", "/l/{secret}/download", "/l/{secret}/download/{filename+}")
"""Routes whose authority is the secret in their path."""
VICTIM_NS = "the others"
EXAMPLES = settings(
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # no shrinking: examples are small, and each needs two namespaces
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
JSON = "application/json"
OCTET_STREAM_HEADERS = {"content-type": "application/octet-stream"}
CONTENT = bytes(range(256)) * 256 + b"the rest"
VOLATILE_VALUES = re.compile(
    rb"(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)|(?P<id>[0-9a-f]{32})|(?P<version>\"version\":\d+)|(?P<signed>X-Amz-[\w-]+=[^&\"]+)"
    rb"|(?P<secret>/l/[\w-]+)|(?P<caller>attacker \d+)"
    rb"|(?P<milliseconds>\d{13})|(?P<date>\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT)"
)
attacker_ids = count()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with new_stack() as created:
        yield created


def send_chunk(stack: Stack, token: str, name: str, index: int, body: bytes) -> None:
    query = {"filename": name, "chunk_index": str(index)}
    assert (
        stack.request("POST /upload/chunk", query=query, headers=OCTET_STREAM_HEADERS, body=body, token=token).status
        == 200
    )


NAMES = ("finished.bin", "half.bin", "direct.bin", "cancelled.bin", "deleted.bin", "sequential.bin")
"""Names of the victim: of a file, uploads in progress (one by tus), one that was cancelled, and a deleted file."""


@pytest.fixture(scope="module")
def victim(stack: Stack) -> Victim:
    """A namespace with a file, an upload by chunks, one by presigned URLs, a cancelled one, and a deleted file."""
    token = stack.token(VICTIM_NS)

    def start(name: str, **more: object) -> str:
        body = {"filename": name, "size": len(CONTENT), "chunk_size": CHUNK_BYTES, **more}
        upload_id: str = stack.post_json("POST /upload/start", body, token=token).json["upload_id"]
        return upload_id

    finished = start("finished.bin", fingerprint="inode 7", metadata={"who": "secret agent"})
    send_chunk(stack, token, "finished.bin", 1, CONTENT[:CHUNK_BYTES])
    send_chunk(stack, token, "finished.bin", 2, CONTENT[CHUNK_BYTES:])
    file = stack.post_json("POST /upload/complete", {"filename": "finished.bin"}, token=token).json
    half = start("half.bin", fingerprint="inode 8")
    send_chunk(stack, token, "half.bin", 1, CONTENT[:CHUNK_BYTES])
    direct = start("direct.bin")
    parts_body = {"filename": "direct.bin", "parts": [{"part_number": 1}]}
    (part,) = stack.post_json("POST /upload/parts", parts_body, token=token).json["parts"]
    cancelled = start("cancelled.bin")
    stack.request("DELETE /upload/{filename+}", filename="cancelled.bin", token=token)
    link = stack.request("GET /download", query={"filename": "finished.bin", "redirect": "false"}, token=token).json
    stored = stack.request("PUT /files/{filename+}", filename="deleted.bin", body=b"deleted", token=token)
    stack.request("DELETE /files/{filename+}", filename="deleted.bin", token=token)
    files, deleted_files = (
        (encode_cursor((kind, VICTIM_NS, *query), "cancelled.bin"), encode_cursor((kind, "absent", *query), "x"))
        for kind, query in (("files", ("", "")), ("deleted", ("",)))
    )
    open_uploads = (
        cursors.encode(("open_uploads", VICTIM_NS), ["direct.bin"]),
        cursors.encode(("open_uploads", "absent"), ["x"]),
    )
    metadata = base64.b64encode(b"sequential.bin").decode()
    tus_headers = {
        "tus-resumable": "1.0.0",
        "upload-length": str(len(CONTENT)),
        "upload-metadata": f"filename {metadata}",
    }
    created = stack.request("POST /uploads", headers=tus_headers, token=token)
    sequential = created.headers["location"].rpartition("/")[2]
    share_body = {"kind": "download", "filename": "finished.bin"}
    shared = stack.post_json("POST /links", share_body, token=token).json
    ids = (finished, half, direct, cancelled, stored.json["upload_id"], sequential)
    return Victim(
        link_ids=((shared["link_id"], shared["link_id"][::-1]),),
        names=tuple((name, f"absent {name}") for name in NAMES),
        upload_ids=tuple((real, real[::-1]) for real in ids),
        cursors=(files, deleted_files, open_uploads),
        etags=((file["etag"], '"0123456789abcdef-1"'),),
        urls=tuple((url, url.swapcase()) for url in (part["url"], link["url"])),
        fingerprints=(("inode 7", "inode 5"), ("inode 8", "inode 6")),
        crcs=((file["checksum"]["value"], "AAAAAA=="),),
        content=CONTENT,
        sizes=(len(CONTENT),),
        token=token,
    )


@dataclass(frozen=True)
class VictimSnapshot:
    """Reads the victim's rows and objects, to tell whether an attack has changed them.

    Rows are read from moto's own table: 25 queries after each test would take half of its time.
    """

    s3: Any
    """Client of S3."""
    ids: Sequence[str]
    """Upload ids of the victim."""

    def snapshot(self) -> object:
        """Return the victim's rows, objects and multipart uploads."""
        keys = [
            f"N#{VICTIM_NS}",
            *(f"U#{upload_id}{shard}" for upload_id in self.ids for shard in ("", "#0", "#1", "#2")),
        ]
        table = dynamodb_backends[DEFAULT_ACCOUNT_ID][self.s3.meta.region_name].tables["metadata"]
        rows = {key: repr(table.items.get(DynamoType({"S": key}))) for key in keys}
        assert rows[f"N#{VICTIM_NS}"] != repr(None)
        listed = self.s3.list_objects_v2(Bucket="bucket").get("Contents", [])
        uploads = self.s3.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
        objects = [(entry["Key"], entry["ETag"]) for entry in listed if self._is_theirs(entry)]
        return rows, objects, sorted(entry["UploadId"] for entry in uploads if self._is_theirs(entry))

    def _is_theirs(self, entry: Mapping[str, Any]) -> bool:
        return any(upload_id in entry["Key"] for upload_id in self.ids)


@pytest.fixture(scope="module")
def victim_is_unchanged(victim: Victim) -> Callable[[], bool]:
    """Return a function that tells whether the victim's rows and objects are as they were."""
    reader = VictimSnapshot(boto3.client("s3"), [real for real, _ in victim.upload_ids])
    before = reader.snapshot()
    return lambda: reader.snapshot() == before


def normalized_response(result: Result, request: IsolationRequest) -> object:
    """Return the response without volatile values (times, ids) and without values that the request contains."""
    sent = [request.filename, *request.query.values()]
    sent += re.findall(r'"((?:[^"\\]|\\.)*)"', (request.body or b"").decode("latin-1"))

    # Under `rename` a response has the name with a number, and not the name that was sent.
    sent += [name_with_mark(value, "2") for value in sent if value and is_valid_name(value)]

    def normalize(text: bytes) -> bytes:
        for value in sorted((value for value in sent if value and len(value) > 5), key=len, reverse=True):
            text = text.replace(value.encode(), b"<sent>")
        return VOLATILE_VALUES.sub(lambda found: b"<%s>" % (found.lastgroup or "").encode(), text)

    # The length of a HEAD response counts the bytes of volatile values. The test of its GET twin compares those bodies.
    compared = {name: value for name, value in result.headers.items() if result.body or name != "content-length"}
    headers = sorted((name, normalize(value.encode())) for name, value in compared.items())
    return result.status, headers, normalize(result.body)


def is_valid_name(value: str) -> bool:
    """Return whether a name with a number can be made of the text."""
    try:
        name_with_mark(normalize_filename(value), "2")
    except InvalidFilename:
        return False
    return True


def requested_name(request: IsolationRequest) -> str:
    """Return the filename of a request, from its path, query or body."""
    body = json.loads(request.body or b"{}") if request.headers.get("content-type") == JSON else {}
    body_name = body.get("filename") or body.get("from")
    return request.filename or request.query.get("filename") or body_name or "none"


def operation(key: str) -> Mapping[str, Any]:
    method, _, path = documented_key(key).partition(" ")
    found: Mapping[str, Any] = openapi_document()["paths"][path][method.lower()]
    return found


def send_request(stack: Stack, key: str, request: IsolationRequest, ns: str, **more: dict[str, str]) -> Result:
    return stack.request(
        key,
        filename=request.filename,
        path=request.path,
        query=request.query | more.get("query", {}),
        headers=request.headers | more.get("headers", {}),
        body=request.body,
        token=stack.token(ns),
    )


QUICK_EXAMPLES, STRESS_EXAMPLES = 1, 12


@pytest.mark.parametrize("examples", [QUICK_EXAMPLES, pytest.param(STRESS_EXAMPLES, marks=pytest.mark.stress)])
@pytest.mark.parametrize("key", PROTECTED)
def test_other_namespace_is_indistinguishable_from_absent(
    stack: Stack, victim: Victim, victim_is_unchanged: Callable[[], bool], key: str, examples: int
) -> None:
    """Existing and missing things of another namespace get the same response, and nothing of the victim changes."""

    @settings(EXAMPLES, max_examples=examples)
    @given(request_pairs(operation(key), openapi_document()["components"]["schemas"], victim), st.booleans())
    def check(requests: tuple[IsolationRequest, IsolationRequest], attacker_has_upload: bool) -> None:
        assert_indistinguishable(stack, victim, key, requests, new_attackers(), attacker_has_upload=attacker_has_upload)

    check()
    attackers = new_attackers()
    # Valid requests are the same ones in every run, so that the stress test need not repeat them.
    for index in range(len(victim.names) if examples == QUICK_EXAMPLES else 0):
        assert_indistinguishable(
            stack,
            victim,
            key,
            valid_request_pair(operation(key), openapi_document()["components"]["schemas"], victim, index),
            attackers,
        )
    assert victim_is_unchanged()


def new_attackers() -> tuple[str, str]:
    """Return two empty namespaces: one for requests of existing things, one for requests of missing things."""
    return f"attacker {next(attacker_ids)}", f"attacker {next(attacker_ids)}"


def assert_indistinguishable(
    stack: Stack,
    victim: Victim,
    key: str,
    requests: tuple[IsolationRequest, IsolationRequest],
    attackers: tuple[str, str],
    *,
    attacker_has_upload: bool = False,
) -> None:
    """Send both requests, each from a namespace of its own, and compare the responses.

    With `attacker_has_upload`, that namespace has an upload of the requested filename.
    """
    real, missing = requests
    responses = []
    for request, ns in zip(requests, attackers, strict=True):
        if attacker_has_upload:
            stack.post_json(
                "POST /upload/start", {"filename": requested_name(request), "size": 5}, token=stack.token(ns)
            )
        responses.append(send_request(stack, key, request, ns))
    assert normalized_response(responses[0], real) == normalized_response(responses[1], missing)
    sent = repr(real)
    for secret in (*victim.secrets, "secret agent", VICTIM_NS):
        assert secret in sent or secret not in repr(responses[0])


@pytest.mark.parametrize("key", PROTECTED)
def test_token_outside_authorization_header_is_ignored(
    stack: Stack, victim: Victim, victim_is_unchanged: Callable[[], bool], key: str
) -> None:
    """The victim's token in a query, a cookie or another header is ignored, alone and beside the attacker's token."""
    elsewhere: dict[str, dict[str, str]] = {
        "query": {"access_token": victim.token, "authorization": f"Bearer {victim.token}"},
        "headers": {"x-authorization": f"Bearer {victim.token}", "cookie": f"access_token={victim.token}"},
    }
    name, _ = victim.names[0]
    in_path = "{filename+}" in key
    request = IsolationRequest(
        filename=name if in_path else None, query={"dry_run": "true", **({} if in_path else {"filename": name})}
    )
    with_own_token = send_request(stack, key, request, "nosy", **elsewhere)
    # Some routes reject unknown parameters, so the request to compare with has them too, without a token.
    without_token = {place: dict.fromkeys(values, "x") for place, values in elsewhere.items()}
    assert normalized_response(with_own_token, request) == normalized_response(
        send_request(stack, key, request, "curious", **without_token), request
    )
    alone = stack.request(
        key,
        filename=request.filename,
        query=request.query | elsewhere["query"],
        headers=elsewhere["headers"],
        token=None,
    )
    assert alone.status == 401
    assert victim_is_unchanged()


def test_every_route_is_protected_or_public() -> None:
    """Every route is either protected or one of the public ones, and documented unless it is a page."""
    pages = set(function_modules()["web"].app.scopes)
    assert pages.isdisjoint(PROTECTED)
    routes = {key for module in function_modules().values() for key in module.app.scopes} - pages
    assert {f"{method.upper()} {path}" for path, item in openapi_document()["paths"].items() for method in item} == {
        documented_key(key) for key in routes
    }
    assert routes - set(PROTECTED) == {
        "POST /auth/token",
        "POST /l/{secret}/token",
        "GET /.well-known/jwks.json",
        "HEAD /.well-known/jwks.json",
        "GET /openapi.json",
        "HEAD /openapi.json",
        "GET /health",
        "HEAD /health",
        "GET /robots.txt",
        "HEAD /robots.txt",
        "OPTIONS /uploads",
        "OPTIONS /uploads/{upload_id}",
        *(key for key in function_modules()["resumable"].app.scopes if " /l/{secret}/uploads" in key),
        *(f"{method} {path}" for method in ("GET", "HEAD") for path in LINK_PATHS),
    }
