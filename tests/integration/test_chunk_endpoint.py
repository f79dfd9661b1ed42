"""The chunk function behind its URL: chunks as the API takes them, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ferry import wiring
from ferry.aws.upload_repository import DynamoUploadRepository
from ferry.ports.errors import ConcurrentUpdate
from tests.integration.conftest import new_stack
from tests.integration.events import build_event
from tests.integration.stack import OCTET_STREAM, READ, WRITE, Result, Stack, to_result
from tests.integration.stored_parts import put_only_part

MIB = 1024 * 1024
SIZE = 2 * 4 * MIB


@pytest.fixture
def stack() -> Iterator[Stack]:
    """Yield one stack per test: it changes the functions' environment."""
    with new_stack() as created:
        yield created


def url_event(method: str, path: str, **options: Any) -> dict[str, Any]:
    """Return the event of a request to a function URL: its route key is always `$default`."""
    event = build_event(f"{method} {path}", **options)
    event["routeKey"] = event["requestContext"]["routeKey"] = "$default"
    event["requestContext"]["domainName"] = "id.lambda-url.us-east-1.on.aws"
    return event


def call(stack: Stack, method: str = "POST", path: str = "/upload/chunk", **options: Any) -> Result:
    return to_result(stack.invoke("chunk", url_event(method, path, **options)))


def send(stack: Stack, name: str, index: int, body: bytes, token: str | None = None, **query: str) -> Result:
    headers = {"content-type": OCTET_STREAM, "authorization": f"Bearer {token or stack.token()}"}
    return call(stack, query={"filename": name, "chunk_index": str(index), **query}, headers=headers, body=body)


def start(stack: Stack, name: str, size: int = SIZE) -> dict[str, Any]:
    started = stack.post_json("POST /upload/start", {"filename": name, "size": size})
    assert started.status == 201
    plan: dict[str, Any] = started.json
    return plan


def test_file_sent_to_function_url_is_complete(stack: Stack) -> None:
    """Chunks that the URL and the API took make one file, and both give the same responses."""
    name, body = "by url", bytes(range(256)) * (SIZE // 256)
    plan = start(stack, name)
    first = send(stack, name, 1, body[: 4 * MIB])
    assert (first.status, first.json["received_bytes"], first.json["upload_id"]) == (200, 4 * MIB, plan["upload_id"])
    assert not [header for header in first.headers if header.startswith("access-control-")]
    query = {"filename": name, "chunk_index": "2"}
    headers = {"content-type": OCTET_STREAM}
    second = stack.request("POST /upload/chunk", query=query, headers=headers, body=body[4 * MIB :])
    assert (second.status, send(stack, name, 2, body[4 * MIB :]).json) == (200, second.json)
    assert stack.post_json("POST /upload/complete", {"filename": name}).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, "/upload/chunk") for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")),
        *(("POST", path) for path in ("/", "/upload/chunk/", "/upload/start", "/upload/complete", "/auth/token")),
        ("GET", "/health"),
    ],
)
def test_function_url_serves_nothing_else(stack: Stack, method: str, path: str) -> None:
    """Every other method and path is a 404, whatever token it has."""
    result = call(stack, method, path, headers={"authorization": f"Bearer {stack.token()}"})
    assert result.status == 404
    assert method == "HEAD" or result.code == "route_not_found"


def test_function_url_checks_tokens(stack: Stack) -> None:
    """Nothing but the function checks the token: none and a wrong one are 401, one without the scope is 403."""
    start(stack, "tokens")
    assert call(stack, query={"filename": "tokens", "chunk_index": "1"}, body=b"x").status == 401
    assert send(stack, "tokens", 1, b"x", token="wrong").headers["www-authenticate"].startswith("Bearer")
    assert send(stack, "tokens", 1, b"x", token=stack.token("demo", READ)).status == 403
    assert send(stack, "tokens", 1, b"x", token=stack.token("other", WRITE)).status == 404


def test_plan_names_function_url(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan's `chunk_url` is that of the endpoint, if the stack has one."""
    assert start(stack, "by the API")["chunk_url"].endswith(".execute-api.us-east-1.amazonaws.com/upload/chunk")
    monkeypatch.setenv("FERRY_CHUNK_ENDPOINT", "https://id.lambda-url.us-east-1.on.aws/")
    stack.new_process()
    assert start(stack, "by the URL")["chunk_url"] == "https://id.lambda-url.us-east-1.on.aws/upload/chunk"


def test_upload_link_sends_to_function_url(stack: Stack) -> None:
    """A token of an upload link is taken for names in its folder."""
    link = stack.post_json("POST /links", {"kind": "upload", "prefix": "in/"}).json
    path = {"secret": link["url"].rpartition("/")[2]}
    token = stack.post_json("POST /l/{secret}/token", {}, path=path).json["access_token"]
    started = stack.post_json("POST /upload/start", {"filename": "in/a", "size": 5}, token=token)
    assert started.status == 201
    assert send(stack, "in/a", 1, b"12345", token=token).status == 200
    assert send(stack, "out/a", 1, b"12345", token=token).status == 404


def test_function_url_opens_upload_and_counts_presigned_parts(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk opens an upload whose start has crashed, publishes that, and counts what went to S3 directly."""
    original = DynamoUploadRepository.mark_open
    name = "opened by a chunk"
    with pytest.MonkeyPatch.context() as crash:
        crash.setattr(DynamoUploadRepository, "mark_open", lambda *_, **__: None)
        start(stack, name)
    attempts = []

    def lose_once(repository: DynamoUploadRepository, *args: Any, **options: Any) -> None:
        attempts.append(args)
        if len(attempts) == 1:
            raise ConcurrentUpdate
        original(repository, *args, **options)

    monkeypatch.setattr(DynamoUploadRepository, "mark_open", lose_once)
    stack.new_process()
    assert send(stack, name, 1, bytes(4 * MIB)).status == 200
    assert len(attempts) == 2
    stack.new_process()
    parts = {"filename": name, "parts": [{"part_number": 1}]}
    assert stack.post_json("POST /upload/parts", parts).status == 200
    assert send(stack, name, 2, bytes(4 * MIB)).json["received_bytes"] == SIZE


def test_function_url_counts_parts_of_completed_multipart_upload(stack: Stack) -> None:
    """Where S3 has joined or lost the parts of an upload with presigned ones, a chunk is acknowledged nevertheless."""
    name = "completed past Ferry"
    start(stack, name, 4 * MIB + 5)
    parts = {"filename": name, "parts": [{"part_number": 1}]}
    assert stack.post_json("POST /upload/parts", parts).status == 200
    put_only_part(name, bytes(4 * MIB + 5), complete=True)
    assert send(stack, name, 1, bytes(4 * MIB)).json["received_bytes"] == 4 * MIB + 5
    plan = start(stack, "aborted past Ferry")
    assert stack.post_json("POST /upload/parts", {**parts, "filename": "aborted past Ferry"}).status == 200
    upload = wiring.services().upload_repository.get_upload(plan["upload_id"])
    assert upload is not None
    assert upload.record.multipart_id is not None
    wiring.services().object_store.abort_multipart(upload.record.object_key, upload.record.multipart_id)
    assert send(stack, "aborted past Ferry", 1, bytes(4 * MIB)).json["received_bytes"] == 4 * MIB
