"""RFC 9110 by the table, over HTTP, redirects followed without the token: size makes no difference."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from local.api import Answer, Api, fetch, open_url
from tests.e2e.clients import MIB, some_bytes, upload
from tests.support.requests_table import EMPTY_ROWS, GET, OTHER, ROWS, Row, asked

BODIES = {
    "table empty": b"",
    "table small": some_bytes(1_000, seed=31),
    "table large": some_bytes(5 * MIB + 3, seed=32),
}
SAME = ("etag", "last-modified", "accept-ranges", "content-type", "content-disposition")


@dataclass(frozen=True)
class Kept:
    body: bytes
    headers: Mapping[str, str]


@pytest.fixture(scope="module")
def files(api: Api) -> Iterator[dict[str, Kept]]:
    kept = {}
    for name, body in BODIES.items():
        upload(api, name, body, content_type="text/plain")
        kept[name] = Kept(body, api.request("HEAD", f"/download?filename={name.replace(' ', '%20')}").headers)
    yield kept
    for name in BODIES:
        api.request("DELETE", f"/files?filename={name.replace(' ', '%20')}")


def follow(api: Api, method: str, target: str, headers: Mapping[str, str]) -> Answer:
    """The last answer."""
    answer = api.request(method, target, headers=headers)
    return fetch(method, answer.headers["location"], headers=headers) if answer.status == 307 else answer


def check(api: Api, name: str, file: Kept, row: Row) -> None:
    [request] = list(asked([row], file.body, file.headers["etag"], file.headers["last-modified"]))
    answer = follow(api, row.method, f"/download?filename={name.replace(' ', '%20')}", request.headers)
    assert answer.status == row.status, answer.body[:500]
    if row.status in (200, 206):
        assert {key: answer.headers[key] for key in SAME} == {key: file.headers[key] for key in SAME}
    if request.span is not None:
        first, last = request.span
        assert hashlib.sha256(answer.body).digest() == hashlib.sha256(file.body[first : last + 1]).digest()
        if row.status == 206:
            assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(file.body)}"
    if row.status == 416 and row.method == GET:
        assert answer.headers["content-range"] == f"bytes */{len(file.body)}"


@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.parametrize("name", ["table small", "table large"])
def test_a_row(api: Api, files: dict[str, Kept], name: str, row: Row) -> None:
    """The answer of the section, with the same headers before and after the redirect."""
    check(api, name, files[name], row)


def test_a_client_that_goes_away(api: Api, files: dict[str, Kept]) -> None:
    """Where S3's reading of a range is imitated: the next is served, and the service's log has no trace of it."""
    headers = {"Range": "bytes=0-9", "If-Range": OTHER}
    url = api.request("GET", "/download?filename=table%20large", headers=headers).headers["location"]
    with open_url("GET", url, headers=headers) as response:
        assert (response.status, len(response.read(1_000))) == (200, 1_000)
    assert fetch("GET", url, headers=headers).body == BODIES["table large"]
    assert fetch("GET", f"{url}0", headers=headers).status == 403
    assert fetch("PUT", url, b"x").status == 405


@pytest.mark.parametrize("row", EMPTY_ROWS, ids=str)
def test_a_row_for_an_empty_file(api: Api, files: dict[str, Kept], row: Row) -> None:
    """As for any other."""
    check(api, "table empty", files["table empty"], row)
