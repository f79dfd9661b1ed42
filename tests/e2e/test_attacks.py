"""Attacks that need the wire or S3 itself: presigned URLs bent to another use, headers twice, hostile bytes."""

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
    wanted: dict[str, object] = {"part_number": part_number}
    if with_checksum:
        wanted["checksum"] = crc32c_checksum(google_crc32c.value(PART_BODY))
    answer = api.post("/upload/parts", filename=name, parts=[wanted])
    part: dict[str, object] = answer.json["parts"][0]
    return part


def with_query(**changes: str) -> Callable[[str], str]:
    """A URL with other values for these parameters; an empty one takes the parameter away."""

    def change(url: str) -> str:
        parts = urlsplit(url)
        query = {name: value for name, value in (dict(parse_qsl(parts.query)) | changes).items() if value}
        return parts._replace(query=urlencode(query, quote_via=quote)).geturl()

    return change


def other_key(url: str) -> str:
    """The same signature for another object."""
    return re.sub(r"/o/[0-9a-f]{32}", f"/o/{'0' * 32}", url)


def with_extra_parameter(url: str) -> str:
    return f"{url}&x-amz-acl=public-read"


URL_CHANGES = {
    "another part": with_query(partNumber="2"),
    "another upload": with_query(uploadId="0" * 32),
    "another object": other_key,
    "a longer life": with_query(**{"X-Amz-Expires": "604800"}),
    "a later date": with_query(**{"X-Amz-Date": "20991122T000000Z"}),
    "other headers signed": with_query(**{"X-Amz-SignedHeaders": "host"}),
    "no signature": with_query(**{"X-Amz-Signature": ""}),
    "another signature": with_query(**{"X-Amz-Signature": "0" * 64}),
    "a parameter more": with_extra_parameter,
    "nothing but the object": lambda url: url.partition("?")[0],
}


@pytest.mark.parametrize("change", URL_CHANGES.values(), ids=URL_CHANGES)
def test_presigned_part_altered_url_rejected(api: FerryClient, name: str, change: Callable[[str], str]) -> None:
    """Altered in any way, the URL is refused by S3, and nothing has landed."""
    api.start(name, 2 * len(PART_BODY))
    part = presign_part(api, name)
    refused = put_part(part | {"url": change(str(part["url"]))}, PART_BODY)
    assert refused.status in REJECTED_STATUSES
    assert api.status(name).json["received_bytes"] == 0


@pytest.mark.parametrize("body", [PART_BODY[:-1], PART_BODY + b"x", b""], ids=["shorter", "longer", "empty"])
@pytest.mark.parametrize("checked", [True, False])
def test_presigned_part_wrong_length_rejected(api: FerryClient, name: str, body: bytes, checked: bool) -> None:
    """A URL cannot be used to fill the bucket."""
    api.start(name, 2 * len(PART_BODY))
    assert put_part(presign_part(api, name, with_checksum=checked), body).status in REJECTED_STATUSES
    assert api.status(name).json["received_bytes"] == 0


def test_presigned_part_wrong_checksum_rejected(api: FerryClient, name: str) -> None:
    """Other bytes of the same length; and the header that was signed, changed or left out."""
    api.start(name, len(PART_BODY))
    part = presign_part(api, name, with_checksum=True)
    assert put_part(part, bytes(len(PART_BODY))).status in REJECTED_STATUSES
    assert put_part(part | {"headers": {}}, bytes(len(PART_BODY))).status in REJECTED_STATUSES
    other = {"x-amz-checksum-crc32c": crc32c_checksum(google_crc32c.value(bytes(len(PART_BODY))))["value"]}
    assert put_part(part | {"headers": other}, bytes(len(PART_BODY))).status in REJECTED_STATUSES
    assert api.status(name).json["received_bytes"] == 0
    assert put_part(part, PART_BODY).status == 200
    assert api.complete(name).status == 200
    assert api.download(name).body == PART_BODY


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
def test_presigned_part_other_method_rejected(api: FerryClient, name: str, method: str) -> None:
    """No other method is signed."""
    api.start(name, len(PART_BODY))
    url = str(presign_part(api, name)["url"])
    assert fetch(method, url, PART_BODY if method == "POST" else None).status in REJECTED_STATUSES
    assert put_part(presign_part(api, name), PART_BODY).status == 200


def test_presigned_download_altered_url_rejected(api: FerryClient, name: str) -> None:
    """Not for another object, not with another type or name, and not for writing or deleting."""
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
    got = fetch("GET", url)
    assert (got.status, got.body) == (200, content)
    assert got.headers["content-disposition"].startswith("attachment;")


def test_presigned_url_expired_rejected(tmp_path: Path) -> None:
    """Once their time is over, for reading and for writing."""
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
    """Neither its objects, nor its listing, nor a token of the API's."""
    file = upload_file(api, name, random_bytes(100))
    bucket = f"{service.connection_info['s3_endpoint']}/ferry-bucket"
    token = {"Authorization": f"Bearer {api.token}"}
    for method, target in (("GET", f"/o/{file['upload_id']}"), ("GET", "/?list-type=2"), ("PUT", "/o/mine")):
        for headers in ({}, token):
            assert (
                fetch(method, bucket + target, b"x" if method == "PUT" else None, headers).status in REJECTED_STATUSES
            )


def send_raw_request(api: FerryClient, head: str) -> ApiResponse:
    """A request whose head is sent as it is written."""
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
            found = {name.lower(): value for name, value in response.getheaders()}
            return ApiResponse(response.status, found, response.read())
    finally:
        connection.close()


def test_authorization_header_twice_rejected(api: FerryClient, other: FerryClient) -> None:
    """Whichever comes first; a good one twice neither."""
    for first, second in ((api.token, other.token), (other.token, api.token), (api.token, "x"), (api.token, api.token)):
        head = f"GET\n/files\nAuthorization: Bearer {first}\nAuthorization: Bearer {second}"
        assert problem_code(send_raw_request(api, head)) == (401, "invalid_token")


def test_query_parameter_twice_is_one_value(api: FerryClient, name: str) -> None:
    """The gateway joins them by a comma: no part of the service sees the first where another sees the last."""
    upload_file(api, name, b"x")
    assert problem_code(api.request("GET", f"/download?filename={name}&filename=other")) == (404, "not_found")
    assert problem_code(api.request("GET", f"/download?filename=other&filename={name}")) == (404, "not_found")
    assert api.request("GET", f"/download/{name}?filename=other").body == b"x"
    answer = api.request(
        "POST", f"/upload/chunk?filename={name}&chunk_index=1&chunk_index=2", b"x", {"Content-Type": OCTET_STREAM}
    )
    assert problem_code(answer)[0] == 422


HOSTILE_BYTES = ["%00", "%0d%0aSet-Cookie:%20a=b", "%c0%af", "%e0%80%af", "%f0%82%82%ac", "%ff", "%ed%a0%80", "%u0000"]


@pytest.mark.parametrize("name", HOSTILE_BYTES)
@pytest.mark.parametrize(
    "route", ["/download/{}", "/download?filename={}", "/status/{}", "/files?prefix={}", "/status?cursor={}"]
)
def test_path_with_hostile_bytes_rejected(api: FerryClient, route: str, name: str) -> None:
    """NUL, line ends, overlong and broken UTF-8: refused or not found, and nothing of it comes back in a header."""
    answer = api.request("GET", route.format(name))
    assert answer.status in (200, 404, 422)
    assert "set-cookie" not in answer.headers
    assert answer.status != 200 or answer.json.get("files") == []


@pytest.mark.parametrize("target", ["/files", "/download/x"])
def test_response_header_injection_prevented(api: FerryClient, target: str) -> None:
    """What a client can put into headers comes back in none: no line of its own, no origin that is not allowed."""
    sent = {
        "Origin": "https://x.example",
        "X-Request-Id": "mine",
        "Range": "bytes=0-1,\t2-3",
        "If-None-Match": 'W/"a", "b',
    }
    answer = api.request("GET", target, headers=sent)
    assert answer.headers["x-request-id"] != "mine"
    assert not [value for value in answer.headers.values() if "x.example" in value or "mine" in value]
