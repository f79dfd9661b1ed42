"""Attacks that need HTTP or S3: altered presigned URLs, repeated headers, hostile bytes."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import google_crc32c
import pytest

from dev.local.client import OCTET_STREAM, ApiResponse, FerryClient, crc32c_checksum, fetch, put_part
from dev.local.launcher import LocalService
from tests.e2e.clients import MIB, log_in_as, problem_code, random_bytes, upload_file, wait_until

PART_BODY = random_bytes(8 * MIB, seed=21)
REJECTED_STATUSES = (400, 401, 403, 404, 405, 411, 412)


def presign_part(
    api: FerryClient, name: str, part_number: int = 1, *, with_checksum: bool = False
) -> dict[str, object]:
    """Return a presigned part; with `with_checksum`, one that S3 accepts `PART_BODY` for only."""
    requested: dict[str, object] = {"part_number": part_number}
    if with_checksum:
        requested["checksum"] = crc32c_checksum(google_crc32c.value(PART_BODY))
    response = api.post("/upload/parts", filename=name, parts=[requested])
    part: dict[str, object] = response.json["parts"][0]
    return part


def with_query(**changes: str) -> Callable[[str], str]:
    """Return a function that sets query parameters of a URL. An empty value removes the parameter."""

    def change(url: str) -> str:
        parts = urlsplit(url)
        query = {name: value for name, value in (dict(parse_qsl(parts.query)) | changes).items() if value}
        return parts._replace(query=urlencode(query, quote_via=quote)).geturl()

    return change


def other_key(url: str) -> str:
    """Return the URL with the key of another object and the same signature."""
    return re.sub(r"/o/[0-9a-f]{32}", f"/o/{'0' * 32}", url)


def with_extra_parameter(url: str) -> str:
    return f"{url}&x-amz-acl=public-read"


URL_CHANGES = {
    "another part": with_query(partNumber="2"),
    "another upload": with_query(uploadId="0" * 32),
    "another object": other_key,
    "a longer lifetime": with_query(**{"X-Amz-Expires": "604800"}),
    "a later date": with_query(**{"X-Amz-Date": "20991122T000000Z"}),
    "other signed headers": with_query(**{"X-Amz-SignedHeaders": "host"}),
    "no signature": with_query(**{"X-Amz-Signature": ""}),
    "another signature": with_query(**{"X-Amz-Signature": "0" * 64}),
    "an extra parameter": with_extra_parameter,
    "no query": lambda url: url.partition("?")[0],
}


@pytest.mark.parametrize("change", URL_CHANGES.values(), ids=URL_CHANGES)
def test_presigned_part_altered_url_rejected(api: FerryClient, name: str, change: Callable[[str], str]) -> None:
    """S3 rejects a URL that was altered in any way, and stores nothing."""
    api.start(name, 2 * len(PART_BODY))
    part = presign_part(api, name)
    rejected = put_part(part | {"url": change(str(part["url"]))}, PART_BODY)
    assert rejected.status in REJECTED_STATUSES
    assert api.status(name).json["received_bytes"] == 0


@pytest.mark.parametrize("body", [PART_BODY[:-1], PART_BODY + b"x", b""], ids=["shorter", "longer", "empty"])
@pytest.mark.parametrize("checked", [True, False])
def test_presigned_part_wrong_length_rejected(api: FerryClient, name: str, body: bytes, checked: bool) -> None:
    """S3 accepts a body of the signed length only, so that a URL cannot be used to fill the bucket."""
    api.start(name, 2 * len(PART_BODY))
    assert put_part(presign_part(api, name, with_checksum=checked), body).status in REJECTED_STATUSES
    assert api.status(name).json["received_bytes"] == 0


def test_presigned_part_wrong_checksum_rejected(api: FerryClient, name: str) -> None:
    """S3 rejects other bytes of the same length, also when the signed checksum header is changed or left out."""
    api.start(name, len(PART_BODY))
    part = presign_part(api, name, with_checksum=True)
    assert put_part(part, bytes(len(PART_BODY))).status in REJECTED_STATUSES
    assert put_part(part | {"headers": {}}, bytes(len(PART_BODY))).status in REJECTED_STATUSES
    changed = {"x-amz-checksum-crc32c": crc32c_checksum(google_crc32c.value(bytes(len(PART_BODY))))["value"]}
    assert put_part(part | {"headers": changed}, bytes(len(PART_BODY))).status in REJECTED_STATUSES
    assert api.status(name).json["received_bytes"] == 0
    assert put_part(part, PART_BODY).status == 200
    assert api.complete(name).status == 200
    assert api.download(name).body == PART_BODY


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
def test_presigned_part_other_method_rejected(api: FerryClient, name: str, method: str) -> None:
    """A URL that was signed for PUT is rejected with any other method."""
    api.start(name, len(PART_BODY))
    url = str(presign_part(api, name)["url"])
    assert fetch(method, url, PART_BODY if method == "POST" else None).status in REJECTED_STATUSES
    assert put_part(presign_part(api, name), PART_BODY).status == 200


def test_presigned_download_altered_url_rejected(api: FerryClient, name: str) -> None:
    """A download URL reads one object with one name and type; it neither writes nor deletes."""
    content = random_bytes(5 * MIB, seed=22)
    upload_file(api, name, content, content_type="text/html")
    url = api.request("GET", f"/download?filename={name}&redirect=false").json["url"]
    for change in (
        other_key,
        with_query(**{"response-content-disposition": "inline"}),
        with_query(**{"response-content-disposition": ""}),
        with_query(**{"response-content-type": "text/html; charset=x"}),
        with_query(**{"X-Amz-Expires": "604800"}),
    ):
        assert fetch("GET", change(url)).status in REJECTED_STATUSES
    for method in ("PUT", "DELETE", "POST"):
        assert fetch(method, url, None if method == "DELETE" else b"x").status in REJECTED_STATUSES
    unaltered = fetch("GET", url)
    assert (unaltered.status, unaltered.body) == (200, content)
    assert unaltered.headers["content-disposition"].startswith("attachment;")


def test_presigned_url_expired_rejected(tmp_path: Path) -> None:
    """S3 rejects presigned downloads and parts after their lifetime."""
    service = LocalService(tmp_path / "state", parameters="PresignedUrlTtlSeconds=1")
    try:
        api = log_in_as(service, "demo")
        upload_file(api, "file", PART_BODY)
        api.start("upload", len(PART_BODY))
        part, link = presign_part(api, "upload"), api.request("GET", "/download?filename=file&redirect=false").json
        wait_until(lambda: fetch("GET", link["url"]).status == 403)
        wait_until(lambda: put_part(part, PART_BODY).status == 403)
    finally:
        service.stop()


def test_bucket_unsigned_request_rejected(service: LocalService, api: FerryClient, name: str) -> None:
    """The bucket is private: an unsigned request gets no object and no listing, also with an API token."""
    file = upload_file(api, name, random_bytes(100))
    bucket = f"{service.connection_info['s3_endpoint']}/ferry-bucket"
    token = {"Authorization": f"Bearer {api.token}"}
    for method, target in (("GET", f"/o/{file['upload_id']}"), ("GET", "/?list-type=2"), ("PUT", "/o/mine")):
        for headers in ({}, token):
            assert (
                fetch(method, bucket + target, b"x" if method == "PUT" else None, headers).status in REJECTED_STATUSES
            )


def send_raw_request(api: FerryClient, head: str) -> ApiResponse:
    """Send a request line and headers exactly as given."""
    parts = urlsplit(api.base_url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        method, target, *lines = head.splitlines()
        connection.putrequest(method, target)
        for line in lines:
            name, _, value = line.partition(": ")
            connection.putheader(name, value)
        connection.endheaders()
        with connection.getresponse() as response:
            headers = {name.lower(): value for name, value in response.getheaders()}
            return ApiResponse(response.status, headers, response.read())
    finally:
        connection.close()


def test_authorization_header_twice_rejected(api: FerryClient, other: FerryClient) -> None:
    """Two Authorization headers are rejected in any order, and also when both have the same valid token."""
    for first, second in ((api.token, other.token), (other.token, api.token), (api.token, "x"), (api.token, api.token)):
        head = f"GET\n/files\nAuthorization: Bearer {first}\nAuthorization: Bearer {second}"
        assert problem_code(send_raw_request(api, head)) == (401, "invalid_token")


def test_query_parameter_twice_rejected(api: FerryClient, name: str) -> None:
    """A repeated parameter is rejected, because the gateway joins its values by a comma, which may be another name."""
    upload_file(api, name, b"x")
    assert problem_code(api.request("GET", f"/download?filename={name}&filename=other")) == (422, "validation_failed")
    assert problem_code(api.request("GET", f"/download?filename=other&filename={name}")) == (422, "validation_failed")
    assert problem_code(api.request("GET", f"/download/{name}?filename={name}")) == (422, "validation_failed")
    response = api.request(
        "POST", f"/upload/chunk?filename={name}&chunk_index=1&chunk_index=2", b"x", {"Content-Type": OCTET_STREAM}
    )
    assert problem_code(response)[0] == 422


HOSTILE_BYTES = ["%00", "%0d%0aSet-Cookie:%20a=b", "%c0%af", "%e0%80%af", "%f0%82%82%ac", "%ff", "%ed%a0%80", "%u0000"]


@pytest.mark.parametrize("name", HOSTILE_BYTES)
@pytest.mark.parametrize(
    "route", ["/download/{}", "/download?filename={}", "/status/{}", "/files?prefix={}", "/status?cursor={}"]
)
def test_path_with_hostile_bytes_rejected(api: FerryClient, route: str, name: str) -> None:
    """NUL, line ends, overlong and invalid UTF-8 are rejected or not found, and appear in no response header."""
    response = api.request("GET", route.format(name))
    assert response.status in (200, 404, 422)
    assert "set-cookie" not in response.headers
    assert response.status != 200 or response.json.get("files") == []


@pytest.mark.parametrize("target", ["/files", "/download/x"])
def test_response_header_injection_prevented(api: FerryClient, target: str) -> None:
    """Request headers appear in no response header: no line of their own, no origin that is not allowed."""
    request_headers = {
        "Origin": "https://x.example",
        "X-Request-Id": "mine",
        "Range": "bytes=0-1,\t2-3",
        "If-None-Match": 'W/"a", "b',
    }
    response = api.request("GET", target, headers=request_headers)
    assert response.headers["x-request-id"] != "mine"
    assert not [value for value in response.headers.values() if "x.example" in value or "mine" in value]
