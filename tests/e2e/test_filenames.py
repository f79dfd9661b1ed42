"""Every valid filename works in a path and as `?filename=`."""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote

import pytest

from dev.local.client import FerryClient, fetch, quote_filename
from tests.e2e.clients import problem_code, random_bytes, upload_file

UNUSUAL_NAMES = [
    "⛴️ ferry 🚢.bin",
    "it's \"quoted\" 'twice'.txt",
    "a#b.txt",
    "what?.txt",
    "a?b=c&d=e#f.txt",
    "%2e%2e",
    "100%.txt",
    "%",
    "partial",
    "start",
    "..txt",
    "תמונה ראשית.jpg",
    "\u202egnp.exe",
    "two  spaces.txt",
    "one + one = 2.txt",
    "semi;colon,comma.txt",
    "e\u0301te\u0301.txt",
    "<img src=x onerror=alert(1)>",
    "{filename}",
    "𝒻𝑒𝓇𝓇𝓎" * 12,
    "-",
    "~`!@$^&*()[]{}|:",
    "photos/2026/ship.jpg",
    "start/partial",
    "a?/b#/c d/100%",
    "%2e%2e/%2F",
    "תמונות/ראשית 🚢/1.jpg",
    "/".join(["🚢" * 63] * 3 + ["x" * 241]),
]
"""The last one has 1,000 bytes, the most that a name may have."""


@pytest.mark.parametrize("name", UNUSUAL_NAMES)
def test_unusual_name_round_trips(api: FerryClient, name: str) -> None:
    """Upload, status, download, range, HEAD, listing and delete work, by path and by query."""
    content = random_bytes(70_000, seed=len(name))
    expected = unicodedata.normalize("NFC", name)
    file = upload_file(api, name, content, chunk_size=65_536)
    assert file["filename"] == expected
    escaped = quote_filename(name)
    for path in (f"/download/{escaped}", f"/download?filename={escaped}"):
        response = api.request("GET", path)
        assert (response.status, response.body) == (200, content)
        encoded_name = response.headers["content-disposition"].partition("filename*=UTF-8''")[2]
        assert unquote(encoded_name) == expected.rpartition("/")[2]
        assert api.request("HEAD", path).headers["content-length"] == "70000"
    for path in (f"/download/partial/{escaped}", f"/download/partial?filename={escaped}"):
        response = api.request("GET", path, headers={"Range": "bytes=10-19"})
        assert (response.status, response.body) == (206, content[10:20])
    for path in (f"/status/{escaped}", f"/status?filename={escaped}"):
        assert api.request("GET", path).json["filename"] == expected
    listed = api.request("GET", f"/files?prefix={escaped}").json["files"]
    assert [entry["filename"] for entry in listed] == [expected]
    assert api.request("DELETE", f"/files/{escaped}").status == 204
    assert problem_code(api.request("DELETE", f"/files?filename={escaped}")) == (404, "not_found")


def test_name_normal_forms_are_one_file(api: FerryClient) -> None:
    """A name in Unicode normal form C and the same name in form D are one file."""
    composed = "Å bo.txt"
    content = random_bytes(10)
    upload_file(api, unicodedata.normalize("NFD", composed), content)
    assert api.download(unicodedata.normalize("NFC", composed)).body == content
    api.request("DELETE", f"/files/{quote_filename(composed)}")


def test_redirect_keeps_filename(api: FerryClient) -> None:
    """S3 sends a file over 4 MiB with the Content-Disposition and type of the API's HEAD response."""
    name = 'große "Datei" №1 🎞.mp4'
    content = random_bytes(4 * 1024 * 1024 + 1)
    file = upload_file(api, name, content, content_type="video/mp4")
    redirect = api.request("GET", f"/download/{quote_filename(name)}")
    assert redirect.status == 307
    response = fetch("GET", redirect.headers["location"])
    head = api.request("HEAD", f"/download/{quote_filename(name)}")
    for header in ("content-type", "content-disposition", "etag", "content-length"):
        assert response.headers[header] == head.headers[header]
    assert response.headers["etag"] == file["etag"]
    assert response.body == content
    api.request("DELETE", f"/files/{quote_filename(name)}")


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "a\\b", "a\nb", "nul\0", " a", "a ", "\ta", "x" * 256, "é" * 128, "\x85a"),
        *("/", "/a", "a/", "a//b", "a/./b", "../a", "a/ b", "a/" + "x" * 256, "a/" * 500 + "b"),
    ],
)
def test_invalid_name_returns_422(api: FerryClient, name: str) -> None:
    """An invalid name in a body and in a query is 422 `invalid_filename`."""
    assert problem_code(api.start(name, 1)) == (422, "invalid_filename")
    assert problem_code(api.request("GET", f"/download?filename={quote_filename(name)}")) == (422, "invalid_filename")
    assert problem_code(api.request("GET", f"/status?filename={quote_filename(name)}")) == (422, "invalid_filename")


@pytest.mark.parametrize("path", ["%2e%2e", "..", "a%2F", "a%2F..%2Fb", "%5c", "%0a", "%C3", "%ED%A0%80"])
def test_invalid_name_in_path_returns_problem(api: FerryClient, path: str) -> None:
    """A name decoded from a path is validated like any other: rejected or not found."""
    response = api.request("GET", f"/download/{path}")
    assert problem_code(response) in ((422, "invalid_filename"), (404, "not_found"))


def test_slash_in_path_may_be_escaped(api: FerryClient) -> None:
    """A `/` of a name may be sent in a path as it is or as `%2F`."""
    content = random_bytes(10)
    upload_file(api, "folder/of/files", content)
    for path in ("folder/of/files", "folder%2Fof%2Ffiles", "folder/of%2Ffiles"):
        assert api.request("GET", f"/download/{path}").body == content
        assert api.request("GET", f"/status/{path}").json["filename"] == "folder/of/files"
    assert api.request("DELETE", "/files/folder/of/files").status == 204
    assert api.request("GET", "/download/folder/of/files").status == 404


def test_file_and_folder_of_one_name(api: FerryClient) -> None:
    """`a` and `a/b` may both be files, and `a` as a prefix lists both."""
    for name in ("both", "both/b"):
        upload_file(api, name, name.encode())
    assert api.download("both").body == b"both"
    assert api.download("both/b").body == b"both/b"
    assert [file["filename"] for file in api.request("GET", "/files?prefix=both").json["files"]] == ["both", "both/b"]
    for name in ("both", "both/b"):
        assert api.request("DELETE", f"/files/{name}").status == 204


def test_name_beginning_with_partial(api: FerryClient) -> None:
    """`/download/partial/x` is the file `x`; `?filename=` and `/download/partial/partial/x` give `partial/x`."""
    upload_file(api, "x", b"x itself")
    upload_file(api, "partial/x", b"below partial")
    assert api.request("GET", "/download/partial/x").body == b"x itself"
    for path in ("/download?filename=partial/x", "/download/partial?filename=partial/x", "/download/partial/partial/x"):
        assert api.request("GET", path).body == b"below partial"
    assert api.request("GET", "/status/partial/x").json["filename"] == "partial/x"
    for name in ("x", "partial/x"):
        assert api.request("DELETE", f"/files/{name}").status == 204


def test_name_in_path_and_query_returns_422(api: FerryClient) -> None:
    """A name in the path and another in the query is 422, never a choice between them."""
    for method, path in (("GET", "download"), ("GET", "download/partial"), ("GET", "status"), ("DELETE", "files")):
        response = api.request(method, f"/{path}/a?filename=b")
        assert problem_code(response) == (422, "validation_failed"), path
