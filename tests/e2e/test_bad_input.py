"""Invalid requests: each gets its status and code, and none a 5xx."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from urllib.parse import urlsplit

import pytest

from dev.local.client import OCTET_STREAM, FerryClient, quote_filename
from tests.e2e.clients import CHUNK_BYTES, problem_code, random_bytes
from tests.e2e.conftest import MAX_INSTANCES

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/"),
        ("GET", "/nothing"),
        ("GET", "/upload/start"),
        ("POST", "/download/x"),
        ("POST", "/files/x"),
        ("GET", "/downloads/a/b"),
        ("GET", "/health/a"),
        ("PATCH", "/status/x"),
    ],
)
def test_unknown_route_returns_gateway_404(api: FerryClient, method: str, target: str) -> None:
    """The gateway answers an unknown route in its own format."""
    response = api.request(method, target)
    assert (response.status, response.json) == (404, {"message": "Not Found"})


@pytest.mark.parametrize(
    "body", [b"{", b"", b"\xff\xfe", b'{"filename": "a", "filename": "b"}', b'{"size": NaN}', b"[" * 60_000, b"nul"]
)
def test_malformed_json_returns_400(api: FerryClient, body: bytes) -> None:
    """A body that is no JSON is rejected on every route that takes JSON."""
    for route in ("start", "chunk", "parts", "complete"):
        assert problem_code(api.request("POST", f"/upload/{route}", body, JSON)) == (400, "malformed_body")


@pytest.mark.parametrize(
    ("members", "loc"),
    [
        ({}, ["filename"]),
        ({"filename": "x"}, ["size"]),
        ({"filename": 5, "size": 1}, ["filename"]),
        ({"filename": "x", "size": "1"}, ["size"]),
        ({"filename": "x", "size": 1.5}, ["size"]),
        ({"filename": "x", "size": True}, ["size"]),
        ({"filename": "x", "size": -1}, ["size"]),
        ({"filename": "x", "size": 10_000 * 5 * 2**30 + 1}, ["size"]),
        ({"filename": "x", "size": 1, "chunk_size": 65_535}, ["chunk_size"]),
        ({"filename": "x", "size": 1, "chunk_size": 98_304}, ["chunk_size"]),
        ({"filename": "x", "size": 1, "chunk_size": 8_388_608}, ["chunk_size"]),
        ({"filename": "x", "size": 1, "colour": "red"}, ["colour"]),
        ({"filename": "x", "size": 1, "if_exists": "maybe"}, ["if_exists"]),
        ({"filename": "x", "size": 1, "restart": "yes"}, ["restart"]),
        ({"filename": "x", "size": 1, "content_type": "text/html\r\nX: y"}, ["content_type"]),
        ({"filename": "x", "size": 1, "metadata": {"a": 1}}, ["metadata", "a"]),
        ({"filename": "x", "size": 1, "metadata": {"a": "b" * 2_048}}, ["metadata"]),
        ({"filename": "x", "size": 1, "fingerprint": "é" * 129}, ["fingerprint"]),
        ({"filename": "x", "size": 1, "checksum": {"algorithm": "crc32c"}}, ["checksum", "value"]),
        ({"filename": "x", "size": 1, "checksum": {"algorithm": "crc32c", "value": "AAAA"}}, ["checksum", "value"]),
    ],
)
def test_start_invalid_member_returns_422_with_location(
    api: FerryClient, members: dict[str, object], loc: list[str]
) -> None:
    """Each error has the location of the member and a message."""
    response = api.request("POST", "/upload/start", json.dumps(members).encode(), JSON)
    assert problem_code(response)[0] == 422
    assert loc in [error["loc"] for error in response.json["errors"]]
    assert all(error.keys() == {"loc", "msg"} and error["msg"] for error in response.json["errors"])


def test_body_not_an_object_returns_422(api: FerryClient) -> None:
    """JSON that is no object is an invalid body, not a malformed one."""
    for body in (b"[]", b"5", b'"x"', b"null"):
        assert problem_code(api.request("POST", "/upload/start", body, JSON))[0] == 422


def test_chunk_not_matching_plan_rejected(api: FerryClient, name: str) -> None:
    """A wrong length, index, digest, algorithm, upload or size has its own code and changes nothing."""
    content = random_bytes(CHUNK_BYTES + 10)
    assert problem_code(api.send_chunk(name, 1, b"x")) == (404, "upload_not_found")
    api.start(name, len(content))
    first = content[:CHUNK_BYTES]
    assert problem_code(api.send_chunk(name, 1, first[:-1])) == (422, "chunk_size_mismatch")
    assert problem_code(api.send_chunk(name, 2, first)) == (422, "chunk_size_mismatch")
    assert problem_code(api.send_chunk(name, 1, b"")) == (422, "chunk_size_mismatch")
    for index in (0, -1, 3, 10**17):
        assert problem_code(api.send_chunk(name, index, first)) == (422, "chunk_index_out_of_range")
    target = f"/upload/chunk?filename={quote_filename(name)}&chunk_index=1"
    binary = {"Content-Type": OCTET_STREAM}
    for text in ("", "one", "1.0", "9" * 5000):
        response = api.request(
            "POST", f"/upload/chunk?filename={quote_filename(name)}&chunk_index={text}", first, binary
        )
        assert problem_code(response)[0] == 422
    wrong = {**binary, "Content-Digest": f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"}
    assert problem_code(api.request("POST", target, first, wrong)) == (400, "checksum_mismatch")
    unknown = {**binary, "Content-Digest": "unixsum=:AAAA:"}
    assert problem_code(api.request("POST", target, first, unknown)) == (422, "checksum_unsupported")
    assert problem_code(api.request("POST", target, content[: CHUNK_BYTES + 1], binary)) == (413, "chunk_too_large")
    assert problem_code(api.request("POST", "/upload/chunk", b"x", binary))[0] == 422
    data = base64.b64encode(content[CHUNK_BYTES:]).decode()
    chunk = {"filename": name, "chunk_index": 2}
    for invalid in ("*" + data, data[:-1], data + "\n"):
        assert problem_code(api.post("/upload/chunk", **chunk, data=invalid))[0] == 422
    for algorithm, code in (("sha1", "checksum_unsupported"), ("sha512", "checksum_unsupported")):
        response = api.post("/upload/chunk", **chunk, data=data, checksum={"algorithm": algorithm, "value": "AAAA"})
        assert problem_code(response) == (422, code)
    assert api.status(name).json["state"] == "pending"


def test_parts_not_matching_plan_rejected(api: FerryClient, name: str) -> None:
    """Part numbers outside the plan, none, too many, and checksums that S3 cannot verify are rejected."""
    assert problem_code(api.presign_parts(name, 1)) == (404, "upload_not_found")
    api.start(name, CHUNK_BYTES)
    for number in (0, 2, -1):
        assert problem_code(api.presign_parts(name, number)) == (422, "part_number_out_of_range")
    assert problem_code(api.presign_parts(name))[0] == 422
    assert problem_code(api.presign_parts(name, *[1] * 101))[0] == 422
    sha = {"algorithm": "sha256", "value": base64.b64encode(bytes(32)).decode()}
    response = api.post("/upload/parts", filename=name, parts=[{"part_number": 1, "checksum": sha}])
    assert problem_code(response) == (422, "checksum_unsupported")
    assert problem_code(api.complete(name, checksum=sha)) == (422, "checksum_unsupported")
    assert problem_code(api.complete(f"not-{name}")) == (404, "upload_not_found")


@pytest.mark.parametrize(
    "target",
    [
        "/status?limit=0",
        "/status?limit=x",
        "/status?cursor=nonsense",
        "/files?limit=-1",
        "/files?cursor=%00",
        "/status/x?wait=21&since=1",
        "/status/x?wait=0&since=1",
        "/status/x?wait=1&since=x",
        "/download/x?redirect=maybe",
        "/download",
        "/download/partial?redirect=maybe",
    ],
)
def test_invalid_query_returns_422(api: FerryClient, target: str) -> None:
    """Invalid query parameters are rejected instead of ignored."""
    assert problem_code(api.request("GET", target))[0] == 422


def test_oversized_request_returns_413(api: FerryClient) -> None:
    """The gateway rejects bodies over 10 MB, and over 6 MB in base64 for Lambda, and headers over 10,240 bytes."""
    for size in (11_000_000, 5_000_000):
        response = api.request(
            "POST", "/upload/chunk?filename=x&chunk_index=1", bytes(size), {"Content-Type": OCTET_STREAM}
        )
        assert (response.status, response.json) == (413, {"message": "Request Entity Too Large"})
    response = api.request("GET", "/files", headers={"X-Padding": "x" * 10_300})
    assert response.status == 431


def test_more_requests_than_instances_return_429(api: FerryClient, name: str) -> None:
    """Each instance serves one request at a time: requests that wait two seconds for one get 429."""
    api.start(name, 5)
    version = api.status(name).json["version"]
    with ThreadPoolExecutor(MAX_INSTANCES * 2) as pool:
        polls = [pool.submit(api.status, name, wait=10, since=version) for _ in range(MAX_INSTANCES * 2)]
        try:
            for poll in islice(as_completed(polls), MAX_INSTANCES):
                assert (poll.result().status, poll.result().json) == (429, {"message": "Too Many Requests"})
        finally:
            # The status changes, so that the other requests return, also where none is rejected.
            api.send_chunk(name, 1, b"bytes")
    statuses = sorted(poll.result().status for poll in polls)
    assert statuses == [200] * MAX_INSTANCES + [429] * MAX_INSTANCES
    assert api.status(name).status == 200


def test_invalid_http_leaves_service_running(anonymous: FerryClient) -> None:
    """After invalid bytes, half a request and a missing body the service still answers."""
    parts = urlsplit(anonymous.base_url)
    assert parts.hostname is not None
    assert parts.port is not None
    for incomplete in (
        b"\x16\x03\x01garbage\r\n\r\n",
        b"GET / HT",
        b"POST /auth/token HTTP/1.1\r\nContent-Length: 100\r\n\r\nx",
    ):
        with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
            connection.sendall(incomplete)
    client = http.client.HTTPConnection(parts.netloc, timeout=60)
    client.putrequest("GET", "/health", skip_host=True)
    client.putheader("Host", "elsewhere.example")
    client.endheaders()
    assert client.getresponse().status == 200
    client.close()
