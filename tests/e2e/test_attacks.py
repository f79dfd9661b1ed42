"""Attacks that need the wire or S3 itself: presigned URLs bent to another use, headers twice, hostile bytes."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import google_crc32c
import pytest

from local.api import BYTES, Answer, Api, crc32c_checksum, fetch, put_part
from local.launch import Launched
from tests.e2e.clients import MIB, as_client, eventually, problem, some_bytes, upload

PART = some_bytes(8 * MIB, seed=21)
REFUSED = (400, 401, 403, 404, 405, 411, 412)


def signed_part(api: Api, name: str, number: int = 1, *, checked: bool = False) -> dict[str, object]:
    wanted: dict[str, object] = {"part_number": number}
    if checked:
        wanted["checksum"] = crc32c_checksum(google_crc32c.value(PART))
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


def with_one_more(url: str) -> str:
    return f"{url}&x-amz-acl=public-read"


CHANGES = {
    "another part": with_query(partNumber="2"),
    "another upload": with_query(uploadId="0" * 32),
    "another object": other_key,
    "a longer life": with_query(**{"X-Amz-Expires": "604800"}),
    "a later date": with_query(**{"X-Amz-Date": "20991122T000000Z"}),
    "other headers signed": with_query(**{"X-Amz-SignedHeaders": "host"}),
    "no signature": with_query(**{"X-Amz-Signature": ""}),
    "another signature": with_query(**{"X-Amz-Signature": "0" * 64}),
    "a parameter more": with_one_more,
    "nothing but the object": lambda url: url.partition("?")[0],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_presigned_part_is_for_that_part_alone(api: Api, name: str, change: Callable[[str], str]) -> None:
    """Altered in any way, the URL is refused by S3, and nothing has landed."""
    api.start(name, 2 * len(PART))
    part = signed_part(api, name)
    refused = put_part(part | {"url": change(str(part["url"]))}, PART)
    assert refused.status in REFUSED
    assert api.status(name).json["received_bytes"] == 0


@pytest.mark.parametrize("body", [PART[:-1], PART + b"x", b""], ids=["shorter", "longer", "empty"])
@pytest.mark.parametrize("checked", [True, False])
def test_a_presigned_part_has_its_length_signed(api: Api, name: str, body: bytes, checked: bool) -> None:
    """A URL cannot be used to fill the bucket."""
    api.start(name, 2 * len(PART))
    assert put_part(signed_part(api, name, checked=checked), body).status in REFUSED
    assert api.status(name).json["received_bytes"] == 0


def test_a_presigned_part_has_its_checksum_signed(api: Api, name: str) -> None:
    """Other bytes of the same length; and the header that was signed, changed or left out."""
    api.start(name, len(PART))
    part = signed_part(api, name, checked=True)
    assert put_part(part, bytes(len(PART))).status in REFUSED
    assert put_part(part | {"headers": {}}, bytes(len(PART))).status in REFUSED
    other = {"x-amz-checksum-crc32c": crc32c_checksum(google_crc32c.value(bytes(len(PART))))["value"]}
    assert put_part(part | {"headers": other}, bytes(len(PART))).status in REFUSED
    assert api.status(name).json["received_bytes"] == 0
    assert put_part(part, PART).status == 200
    assert api.complete(name).status == 200
    assert api.download(name).body == PART


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
def test_a_presigned_part_is_for_putting_alone(api: Api, name: str, method: str) -> None:
    """No other method is signed."""
    api.start(name, len(PART))
    url = str(signed_part(api, name)["url"])
    assert fetch(method, url, PART if method == "POST" else None).status in REFUSED
    assert put_part(signed_part(api, name), PART).status == 200


def test_a_presigned_download_is_for_reading_that_file_alone(api: Api, name: str) -> None:
    """Not for another object, not with another type or name, and not for writing or deleting."""
    content = some_bytes(5 * MIB, seed=22)
    upload(api, name, content, content_type="text/html")
    url = api.request("GET", f"/download?filename={name}&redirect=false").json["url"]
    for change in (
        other_key,
        with_query(**{"response-content-disposition": "inline"}),
        with_query(**{"response-content-disposition": ""}),
        with_query(**{"response-content-type": "text/html; charset=x"}),
        with_query(**{"X-Amz-Expires": "604800"}),
    ):
        assert fetch("GET", change(url)).status in REFUSED
    for method in ("PUT", "DELETE", "POST"):
        assert fetch(method, url, None if method == "DELETE" else b"x").status in REFUSED
    got = fetch("GET", url)
    assert (got.status, got.body) == (200, content)
    assert got.headers["content-disposition"].startswith("attachment;")


def test_outdated_urls_are_refused(tmp_path: Path) -> None:
    """Once their time is over, for reading and for writing."""
    service = Launched(tmp_path / "state", parameters="UrlLifetime=1")
    try:
        api = as_client(service, "demo")
        upload(api, "file", PART)
        api.start("upload", len(PART))
        part, link = signed_part(api, "upload"), api.request("GET", "/download?filename=file&redirect=false").json
        eventually(lambda: fetch("GET", link["url"]).status == 403)
        eventually(lambda: put_part(part, PART).status == 403)
    finally:
        service.stop()


def test_the_bucket_opens_to_nobody_without_a_signature(service: Launched, api: Api, name: str) -> None:
    """Neither its objects, nor its listing, nor a token of the API's."""
    file = upload(api, name, some_bytes(100))
    bucket = f"{service.described['s3_endpoint']}/ferry-bucket"
    token = {"Authorization": f"Bearer {api.token}"}
    for method, target in (("GET", f"/o/{file['upload_id']}"), ("GET", "/?list-type=2"), ("PUT", "/o/mine")):
        for headers in ({}, token):
            assert fetch(method, bucket + target, b"x" if method == "PUT" else None, headers).status in REFUSED


def raw_request(api: Api, head: str) -> Answer:
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
            return Answer(response.status, found, response.read())
    finally:
        connection.close()


def test_two_authorization_headers_open_nothing(api: Api, other: Api) -> None:
    """Whichever comes first; a good one twice neither."""
    for first, second in ((api.token, other.token), (other.token, api.token), (api.token, "x"), (api.token, api.token)):
        head = f"GET\n/files\nAuthorization: Bearer {first}\nAuthorization: Bearer {second}"
        assert problem(raw_request(api, head)) == (401, "invalid_token")


def test_a_parameter_twice_is_one_value_for_everybody(api: Api, name: str) -> None:
    """The gateway joins them by a comma: no part of the service sees the first where another sees the last."""
    upload(api, name, b"x")
    assert problem(api.request("GET", f"/download?filename={name}&filename=other")) == (404, "not_found")
    assert problem(api.request("GET", f"/download?filename=other&filename={name}")) == (404, "not_found")
    assert api.request("GET", f"/download/{name}?filename=other").body == b"x"
    answer = api.request(
        "POST", f"/upload/chunk?filename={name}&chunk_index=1&chunk_index=2", b"x", {"Content-Type": BYTES}
    )
    assert problem(answer)[0] == 422


HOSTILE_BYTES = ["%00", "%0d%0aSet-Cookie:%20a=b", "%c0%af", "%e0%80%af", "%f0%82%82%ac", "%ff", "%ed%a0%80", "%u0000"]


@pytest.mark.parametrize("name", HOSTILE_BYTES)
@pytest.mark.parametrize(
    "route", ["/download/{}", "/download?filename={}", "/status/{}", "/files?prefix={}", "/status?cursor={}"]
)
def test_hostile_bytes_in_an_address(api: Api, route: str, name: str) -> None:
    """NUL, line ends, overlong and broken UTF-8: refused or not found, and nothing of it comes back in a header."""
    answer = api.request("GET", route.format(name))
    assert answer.status in (200, 404, 422)
    assert "set-cookie" not in answer.headers
    assert answer.status != 200 or answer.json.get("files") == []


@pytest.mark.parametrize("target", ["/files", "/download/x"])
def test_a_header_that_would_be_two_stays_one(api: Api, target: str) -> None:
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
