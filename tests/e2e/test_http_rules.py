"""Rules of HTTP that hold on every route: methods, preconditions, media types, encodings, and headers of responses."""

from __future__ import annotations

import json

import pytest

from dev.local.client import FerryClient
from tests.e2e.clients import problem_code, upload_file

PUBLIC_PATHS = ["/health", "/openapi.json", "/.well-known/jwks.json"]


@pytest.mark.parametrize("path", [*PUBLIC_PATHS, "/files", "/status", "/status/{name}", "/download/{name}"])
def test_head_works_where_get_works(api: FerryClient, name: str, path: str) -> None:
    """HEAD has the status and the length of GET, and no body."""
    upload_file(api, name, b"hello")
    got = api.request("GET", path.format(name=name))
    head = api.request("HEAD", path.format(name=name))
    assert (got.status, head.status, head.body) == (200, 200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("target", ["/files/{name}", "/files?filename={name}"])
@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": '"0123456789abcdef0123456789abcdef"'},
        {"If-Match": "W/{etag}"},
        {"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
        {"If-None-Match": "*"},
    ],
)
def test_delete_under_failed_condition_keeps_file(
    api: FerryClient, name: str, target: str, headers: dict[str, str]
) -> None:
    """A condition that does not hold is a 412, and the file is there; one that holds deletes it."""
    etag = upload_file(api, name, b"hello")["etag"]
    sent = {header: value.format(etag=etag) for header, value in headers.items()}
    assert problem_code(api.request("DELETE", target.format(name=name), headers=sent)) == (412, "precondition_failed")
    assert api.request("GET", f"/download/{name}").body == b"hello"
    assert api.request("DELETE", target.format(name=name), headers={"If-Match": etag}).status == 204
    assert api.request("GET", f"/download/{name}").status == 404


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=iso-8859-1", "text/plain"])
def test_latin_1_body_makes_nothing(api: FerryClient, content_type: str) -> None:
    """A name in Latin-1 is not bent into one with U+FFFD."""
    body = b'{"filename": "caf\xe9.txt", "size": 1}'
    assert api.request("POST", "/upload/start", body, {"Content-Type": content_type}).status in (400, 415)
    names = [entry["filename"] for entry in api.request("GET", "/status").json["uploads"]]
    assert [name for name in names if name.startswith("caf") and name.endswith(".txt")] == []


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/download/caf%E9"),
        ("HEAD", "/download/caf%E9"),
        ("GET", "/download?filename=caf%E9"),
        ("GET", "/status/caf%E9"),
        ("GET", "/files?prefix=caf%E9"),
        ("DELETE", "/files/caf%E9"),
        ("DELETE", "/files?filename=caf%EF%BF%BD"),
        ("DELETE", "/upload/caf%E9"),
        ("DELETE", "/cleanup?dry_run=true&filename=%ED%A0%80"),
        ("DELETE", "/files/x?uploadid=1"),
        ("DELETE", "/files/x?filename=y"),
        ("DELETE", "/upload/x?upload_id="),
        ("POST", "/upload/start?restart=true"),
        ("GET", "/status?cursor="),
    ],
)
def test_bent_or_unknown_text_returns_422(api: FerryClient, method: str, target: str) -> None:
    """Text that is not UTF-8, empty values and unknown parameters are rejected, not taken as something else."""
    body = json.dumps({"filename": "x", "size": 1}).encode() if method == "POST" else None
    headers = {"Content-Type": "application/json"} if body else {}
    assert api.request(method, target, body, headers).status == 422


def test_raw_chunk_by_content_type(api: FerryClient, name: str) -> None:
    """A raw chunk of another type, or compressed, is a 415; without a type it is accepted; its digest is verified."""
    api.start(name, 5)
    target = f"/upload/chunk?filename={name}&chunk_index=1"
    for content_type in ("image/jpeg", "application/x-www-form-urlencoded", "application/offset+octet-stream"):
        response = api.request("POST", target, b"hello", {"Content-Type": content_type})
        assert problem_code(response) == (415, "unsupported_media_type")
        assert "application/octet-stream" in response.json["detail"]
    octets = {"Content-Type": "application/octet-stream"}
    assert api.request("POST", target, b"hello", {**octets, "Content-Encoding": "gzip"}).status == 415
    wrong = {**octets, "Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert problem_code(api.request("POST", target, b"hello", wrong)) == (400, "checksum_mismatch")
    assert api.request("POST", target, b"hello").status == 200


@pytest.mark.parametrize("destination", ["script", "style", "worker", "sharedworker", "serviceworker"])
def test_file_as_active_content_returns_403(api: FerryClient, name: str, destination: str) -> None:
    """A browser gets no file that it would run on the API's origin."""
    upload_file(api, name, b"alert(1)", content_type="text/javascript")
    response = api.request("GET", f"/download/{name}", headers={"Sec-Fetch-Dest": destination})
    assert problem_code(response) == (403, "destination_forbidden")
    response = api.request("GET", f"/download/{name}", headers={"Sec-Fetch-Dest": "empty"})
    assert (response.status, response.headers["cross-origin-resource-policy"]) == (200, "same-origin")
    assert response.headers["vary"] == "Origin"
