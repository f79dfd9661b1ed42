"""Whole files in one request, their records, and what a gateway does to bodies of some types."""

from __future__ import annotations

import base64
import json
import uuid
from urllib.parse import quote

import pytest

from dev.local.client import FerryClient, content_digest, expect, fetch
from tests.e2e.clients import MIB, problem_code, random_bytes

JPEG = b"\xff\xd8\xff\xe0" + random_bytes(20_000)


def new_name(suffix: str = "") -> str:
    return f"files/{uuid.uuid4().hex}{suffix}"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("image/jpeg", JPEG),
        ("", JPEG),
        ("application/octet-stream", JPEG),
        ("application/json", '{"ü": 1}\n'.encode()),
        ("application/x-www-form-urlencoded", b"a=b&c=%ff"),
        ("text/plain", "grün\r\n".encode()),
        ("text/html; charset=utf-8", b"<p>\xc3\xbc</p>"),
        ("application/xml; charset=iso-8859-1", b"<a>\xfc</a>"),
    ],
)
def test_file_of_any_type_arrives_byte_for_byte(api: FerryClient, content_type: str, body: bytes) -> None:
    """A file has the bytes and the type that were sent, whatever the gateway makes of the body."""
    name = new_name()
    headers = {"content-type": content_type} if content_type else {}
    headers["content-digest"] = content_digest(body)
    file = expect(api.request("PUT", f"/files/{quote(name)}", body, headers), 201, "put").json
    assert (file["size"], file["content_type"]) == (len(body), content_type or "application/octet-stream")
    downloaded = expect(api.download(name), 200, "download")
    assert downloaded.body == body
    assert downloaded.headers["content-type"] == file["content_type"]


def test_text_that_is_not_utf8_is_rejected_with_advice(api: FerryClient) -> None:
    """Text that a gateway would change is a 415, and the advice works."""
    name, body = new_name(), b"latin-1: \xfc"
    got = api.request("PUT", f"/files/{quote(name)}", body, {"content-type": "text/plain"})
    if got.status == 415:  # a gateway that passes every body on in base64 changes nothing
        assert problem_code(got) == (415, "body_not_exact")
        assert api.download(name).status == 404
    else:
        assert got.status == 201
        expect(api.request("DELETE", f"/files/{quote(name)}"), 204, "delete")
    target = f"/files/{quote(name)}?content_type={quote('text/plain; charset=iso-8859-1', safe='')}"
    expect(api.request("PUT", target, body, {"content-type": "application/octet-stream"}), 201, "put")
    downloaded = expect(api.download(name), 200, "download")
    assert (downloaded.body, downloaded.headers["content-type"]) == (body, "text/plain; charset=iso-8859-1")


def test_file_is_replaced_under_conditions(api: FerryClient) -> None:
    """The first request makes the file, a request with its ETag replaces it, and others get the file that is there."""
    name = new_name(".txt")
    target, octets = f"/files/{quote(name)}", {"content-type": "application/octet-stream"}
    first = expect(api.request("PUT", target, b"one", {**octets, "if-none-match": "*"}), 201, "put")
    rejected = api.request("PUT", target, b"two", {**octets, "if-none-match": "*"})
    assert problem_code(rejected) == (412, "precondition_failed")
    assert rejected.json["current_file"] == first.json
    second = api.request("PUT", target, b"two", {**octets, "if-match": first.json["etag"]})
    assert second.status == 200
    stale = api.request("PUT", target, b"three", {**octets, "if-match": first.headers["etag"]})
    assert problem_code(stale) == (412, "precondition_failed")
    assert expect(api.download(name), 200, "download").body == b"two"


def test_file_of_four_mib_and_of_a_byte_more(api: FerryClient) -> None:
    """4 MiB are stored; a byte more is a 413, and nothing is stored."""
    name, body = new_name(), random_bytes(4 * MIB)
    octets = {"content-type": "application/octet-stream"}
    expect(api.request("PUT", f"/files/{quote(name)}", body, octets), 201, "put")
    assert expect(api.download(name), 200, "download").body == body
    other = new_name()
    assert problem_code(api.request("PUT", f"/files/{quote(other)}", body + b"x", octets)) == (413, "body_too_large")
    assert api.download(other).status == 404


def test_record_is_changed(api: FerryClient) -> None:
    """A change of type and metadata is seen by the record, and the type by downloads, also by way of S3."""
    name = new_name(" ü.bin")
    metadata = base64.b64encode(json.dumps({"mode": "0644", "farbe": "grün"}).encode()).decode()
    put_headers = {"content-type": "application/octet-stream", "ferry-metadata": metadata}
    file = expect(api.request("PUT", f"/files/{quote(name)}", JPEG, put_headers), 201, "put")
    assert file.json["metadata"] == {"mode": "0644", "farbe": "grün"}
    record = expect(api.request("GET", f"/files?filename={quote(name)}"), 200, "record")
    assert (record.json, record.headers["etag"]) == (file.json, file.headers["etag"])
    patch = json.dumps({"content_type": "image/jpeg", "metadata": {"mode": None}}).encode()
    headers = {"content-type": "application/merge-patch+json", "if-match": record.headers["etag"]}
    changed = expect(api.request("PATCH", f"/files/{quote(name)}", patch, headers), 200, "patch")
    assert (changed.json["content_type"], changed.json["metadata"]) == ("image/jpeg", {"farbe": "grün"})
    assert api.request("PATCH", f"/files/{quote(name)}", patch, headers).status == 412
    downloaded = expect(api.download(name), 200, "download")
    assert (downloaded.headers["content-type"], downloaded.body) == ("image/jpeg", JPEG)
    assert expect(api.request("HEAD", f"/files/{quote(name)}"), 200, "head").headers["etag"] == changed.headers["etag"]


def test_usage_without_quota_is_empty(api: FerryClient) -> None:
    """The namespace `demo` has no limits."""
    assert expect(api.request("GET", "/usage"), 200, "usage").json == {}


@pytest.mark.parametrize(
    ("content_type", "shown_as"),
    [
        ("image/jpeg", "image/jpeg"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("image/svg+xml", None),
        ("text/html", None),
    ],
)
def test_inline_file_is_shown_by_s3_alone(api: FerryClient, content_type: str, shown_as: str | None) -> None:
    """An image is a redirect to S3, which shows it; what could run something is an attachment of the API."""
    name = new_name()
    body = JPEG if content_type == "image/jpeg" else b"<svg/>"
    target = f"/files/{quote(name)}?content_type={quote(content_type, safe='')}"
    file = expect(api.request("PUT", target, body, {"content-type": "application/octet-stream"}), 201, "put")
    got = api.request("GET", f"/download/{quote(name)}?disposition=inline")
    if shown_as is None:
        assert (got.status, got.body) == (200, body)
        assert got.headers["content-disposition"].startswith("attachment;")
        assert "no-transform" in got.headers["cache-control"]
        return
    assert (got.status, got.headers["cache-control"]) == (307, "private, no-store")
    location = got.headers["location"]
    assert not location.startswith(api.base_url)
    shown = fetch("GET", location)
    assert (shown.status, shown.body, shown.headers["content-type"]) == (200, body, shown_as)
    assert shown.headers["content-disposition"].startswith("inline;")
    assert "no-transform" in shown.headers["cache-control"]
    dated = {"if-modified-since": "Sun, 06 Nov 1994 08:49:37 GMT"}
    rejected = api.request("GET", f"/download/{quote(name)}?disposition=inline", headers=dated)
    assert problem_code(rejected) == (412, "precondition_failed")
    tagged = {"if-none-match": file.json["etag"]}
    assert api.request("GET", f"/download/{quote(name)}?disposition=inline", headers=tagged).status == 304
