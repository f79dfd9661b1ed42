"""The table of RFC 9110 requests over HTTP, with redirects followed: small and large files get the same responses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from dev.local.client import ApiResponse, FerryClient, fetch, open_url
from tests.e2e.clients import MIB, random_bytes, upload_file
from tests.support.requests_table import CASES, EMPTY_FILE_CASES, GET, OTHER_ETAG, RequestCase, cases_for_file

BODIES = {
    "table empty": b"",
    "table small": random_bytes(1_000, seed=31),
    "table large": random_bytes(5 * MIB + 3, seed=32),
}
INVARIANT_HEADERS = ("etag", "last-modified", "accept-ranges", "content-type", "content-disposition")


@dataclass(frozen=True)
class UploadedFile:
    """The content of a file and the headers of its HEAD response."""

    body: bytes
    headers: Mapping[str, str]


@pytest.fixture(scope="module")
def files(api: FerryClient) -> Iterator[dict[str, UploadedFile]]:
    """Upload an empty, a small and a large file."""
    uploaded = {}
    for name, body in BODIES.items():
        upload_file(api, name, body, content_type="text/plain")
        uploaded[name] = UploadedFile(
            body, api.request("HEAD", f"/download?filename={name.replace(' ', '%20')}").headers
        )
    yield uploaded
    for name in BODIES:
        api.request("DELETE", f"/files?filename={name.replace(' ', '%20')}")


def request_following_redirect(api: FerryClient, method: str, target: str, headers: Mapping[str, str]) -> ApiResponse:
    """Return the response that a client gets in the end. The token is not sent to S3."""
    response = api.request(method, target, headers=headers)
    return fetch(method, response.headers["location"], headers=headers) if response.status == 307 else response


def check_row(api: FerryClient, name: str, file: UploadedFile, row: RequestCase) -> None:
    """Send the request of a row and compare status, headers and body."""
    [request] = list(cases_for_file([row], file.body, file.headers["etag"], file.headers["last-modified"]))
    response = request_following_redirect(
        api, row.method, f"/download?filename={name.replace(' ', '%20')}", request.headers
    )
    assert response.status == row.status, response.body[:500]
    if row.status in (200, 206):
        assert {key: response.headers[key] for key in INVARIANT_HEADERS} == {
            key: file.headers[key] for key in INVARIANT_HEADERS
        }
    if request.byte_range is not None:
        first, last = request.byte_range
        assert hashlib.sha256(response.body).digest() == hashlib.sha256(file.body[first : last + 1]).digest()
        if row.status == 206:
            assert response.headers["content-range"] == f"bytes {first}-{last}/{len(file.body)}"
    if row.status == 416 and row.method == GET:
        assert response.headers["content-range"] == f"bytes */{len(file.body)}"


@pytest.mark.parametrize("row", CASES, ids=str)
@pytest.mark.parametrize("name", ["table small", "table large"])
def test_download_row_matches_rfc_9110(
    api: FerryClient, files: dict[str, UploadedFile], name: str, row: RequestCase
) -> None:
    """Each row gets the response of its section, inline and after a redirect to S3."""
    check_row(api, name, files[name], row)


def test_download_client_disconnect_leaves_service_running(api: FerryClient, files: dict[str, UploadedFile]) -> None:
    """A client that stops reading from the local S3 proxy does not disturb later requests."""
    headers = {"Range": "bytes=0-9", "If-Range": OTHER_ETAG}
    url = api.request("GET", "/download?filename=table%20large", headers=headers).headers["location"]
    with open_url("GET", url, headers=headers) as response:
        assert (response.status, len(response.read(1_000))) == (200, 1_000)
    assert fetch("GET", url, headers=headers).body == BODIES["table large"]
    assert fetch("GET", f"{url}0", headers=headers).status == 403
    assert fetch("PUT", url, b"x").status == 405


@pytest.mark.parametrize("row", EMPTY_FILE_CASES, ids=str)
def test_download_empty_file_row_matches_rfc_9110(
    api: FerryClient, files: dict[str, UploadedFile], row: RequestCase
) -> None:
    """Each row gets the response of its section for an empty file too."""
    check_row(api, "table empty", files["table empty"], row)
