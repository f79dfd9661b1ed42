"""Every route with every kind of token and link, for names within the link and outside."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ferry import wiring
from tests.integration.stack import READ, SHARE, Result, Stack, function_modules

APPS = [module.app for module in function_modules().values()]
PROTECTED = {key: scope for app in APPS for key, scope in app.scopes.items() if scope is not None}
LINK_KINDS = {key: kind for app in APPS for key, kind in app.link_kinds.items()}
OWN, FOREIGN = "in/own.txt", "out/foreign.txt"
DOWNLOAD = "GET /download/{filename+}"


@pytest.fixture(scope="module", autouse=True)
def files(stack: Stack) -> None:
    """A file in the folder of the links, and one outside."""
    for name in (OWN, FOREIGN):
        stack.request("PUT /files/{filename+}", filename=name, body=name.encode())


def link_token(stack: Stack, **members: Any) -> str:
    """Create a link, and return a token of it."""
    link = stack.post_json("POST /links", {"kind": "download", **members}).json
    path = {"secret": link["url"].rpartition("/")[2]}
    token: str = stack.request("POST /l/{secret}/token", path=path).json["access_token"]
    return token


@pytest.fixture(scope="module")
def tokens(stack: Stack) -> dict[str, str]:
    """Tokens of links of each kind."""
    return {
        "file": link_token(stack, filename=OWN),
        "folder": link_token(stack, prefix="in/"),
        "upload": link_token(stack, kind="upload", prefix="in/"),
    }


BODIES: dict[str, dict[str, Any]] = {
    "POST /upload/chunk": {"chunk_index": 1, "data": "eA=="},
    "POST /upload/parts": {"parts": [{"part_number": 1}]},
    "POST /upload/complete": {},
}
"""What the routes that take the name in a body need besides."""


def send(stack: Stack, key: str, token: str, name: str) -> Result:
    """Send a request for a name: in the path, the body or the query, where the route has it."""
    if key == "POST /upload/start":
        # A start of a name within the link succeeds, so it is in the tests of uploads.
        return stack.post_json(key, {"filename": FOREIGN, "size": 1}, token=token)
    if key == "POST /uploads":
        headers = {"tus-resumable": "1.0.0", "upload-length": "1"}
        return stack.request(key, query={"filename": FOREIGN}, headers=headers, token=token)
    if "{upload_id}" in key:
        headers = {"tus-resumable": "1.0.0", "upload-offset": "0", "x-http-method-override": "DELETE"}
        return stack.request(key, path={"upload_id": "f" * 32}, headers=headers, token=token)
    if key in BODIES:
        return stack.post_json(key, {"filename": name, **BODIES[key]}, token=token)
    in_path = "{filename+}" in key
    query = {} if in_path else {"filename": name}
    return stack.request(key, filename=name if in_path else None, query=query, token=token)


def expected_status(key: str, link: str, name: str) -> int:
    kind = "upload" if link == "upload" else "download"
    if LINK_KINDS.get(key) != kind:
        return 403
    # An upload link sees no file of its folder that did not come by it.
    return 200 if name == OWN and kind == "download" else 404


@pytest.mark.parametrize("name", [OWN, FOREIGN])
@pytest.mark.parametrize("link", ["file", "folder", "upload"])
@pytest.mark.parametrize("key", sorted(PROTECTED))
def test_route_takes_tokens_of_links_only_if_it_says_so(
    stack: Stack, tokens: dict[str, str], key: str, link: str, name: str
) -> None:
    """A route that has not opted in is a 403 for links; one that has serves names within the link, others are a 404."""
    got = send(stack, key, tokens[link], name)
    assert got.status == expected_status(key, link, name)
    if got.status == 403:
        assert f'error="insufficient_scope", scope="{PROTECTED[key]}"' in got.headers["www-authenticate"]


def test_routes_for_links_are_the_documented_ones() -> None:
    """No route opts in by accident."""
    downloads = {
        f"{method} {path}"
        for method in ("GET", "HEAD")
        for path in (
            "/download/{filename+}",
            "/download",
            "/download/partial/{filename+}",
            "/download/partial",
            "/files/{filename+}",
            "/files",
        )
    }
    assert {key for key, kind in LINK_KINDS.items() if kind == "download"} == downloads
    assert {key for key, kind in LINK_KINDS.items() if kind == "upload"} == {
        *(f"POST /upload/{action}" for action in ("start", "chunk", "parts", "complete")),
        "DELETE /upload/{filename+}",
        "DELETE /upload",
        *(f"{method} {path}" for method in ("GET", "HEAD") for path in ("/status/{filename+}", "/status")),
        "POST /uploads",
        *(f"{method} /uploads/{{upload_id}}" for method in ("GET", "HEAD", "PATCH", "DELETE", "POST")),
    }


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 200),
        ({"prefix": "in/"}, 200),
        ({"prefix": "in/o", "delimiter": "/"}, 200),
        ({"prefix": "out/"}, 404),
        ({"prefix": "i"}, 404),
        ({"deleted": "true"}, 403),
        ({"deleted": "true", "prefix": "in/"}, 403),
    ],
)
def test_listing_by_link_stays_in_its_folder(
    stack: Stack, tokens: dict[str, str], query: dict[str, str], status: int
) -> None:
    """A listing has the link's folder, or a prefix within it, and never deleted files."""
    got = stack.request("GET /files", query=query, token=tokens["folder"])
    assert got.status == status
    if status == 200:
        assert [file["filename"] for file in got.json["files"]] == [OWN]
    assert stack.request("GET /files", query=query, token=tokens["file"]).status == 403


def test_downloads_of_one_token_count_once_per_file(stack: Stack) -> None:
    """Ranges and repetitions under one token are one download; another token is another one."""
    link = stack.post_json("POST /links", {"kind": "download", "prefix": "in/", "max_downloads": 2}).json
    stack.request("PUT /files/{filename+}", filename=OWN, body=b"0123456789")
    path = {"secret": link["url"].rpartition("/")[2]}
    first, second, third = (stack.request("POST /l/{secret}/token", path=path).json["access_token"] for _ in range(3))
    for headers in ({}, {"range": "bytes=0-1"}, {"range": "bytes=2-3"}):
        assert stack.request(DOWNLOAD, filename=OWN, token=first, headers=headers).status in (200, 206)
    assert stack.request(DOWNLOAD, filename=OWN, token=second).status == 200
    used_up = stack.request(DOWNLOAD, filename=OWN, token=third)
    assert (used_up.status, used_up.code) == (410, "link_used_up")
    assert stack.request(DOWNLOAD, filename=OWN, token=first).status == 200
    found = stack.request("GET /links/{link_id}", path={"link_id": link["link_id"]}).json
    assert found["used"]["downloads"] == 2


def test_presigned_url_by_token_lives_a_minute(stack: Stack, tokens: dict[str, str]) -> None:
    """A URL that a link gives out outlives its deletion by a minute at most; a prefetch is a 403."""
    query = {"redirect": "false"}
    got = stack.request(DOWNLOAD, filename=OWN, query=query, token=tokens["folder"])
    assert "X-Amz-Expires=60&" in got.json["url"]
    headers = {"sec-purpose": "prefetch"}
    assert stack.request(DOWNLOAD, filename=OWN, headers=headers, token=tokens["folder"]).code == "prefetch_forbidden"


def test_tokens_of_an_ended_link_return_410(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the link was deleted or has expired, its tokens are a 410 on the routes that took them, and no 401."""
    link = stack.post_json("POST /links", {"kind": "download", "prefix": "in/"}).json
    path = {"secret": link["url"].rpartition("/")[2]}
    token = stack.request("POST /l/{secret}/token", path=path).json["access_token"]
    assert stack.request(DOWNLOAD, filename=OWN, token=token).status == 200
    stack.request("DELETE /links/{link_id}", path={"link_id": link["link_id"]})
    stack.new_process()
    got = stack.request(DOWNLOAD, filename=OWN, token=token)
    assert (got.status, got.code) == (410, "link_revoked")
    short = link_token(stack, prefix="in/", expires_in=60)
    now = int(time.time() * 1000) + 61_000
    monkeypatch.setattr(wiring.links(), "clock", lambda: now)
    assert stack.request(DOWNLOAD, filename=OWN, token=short).code == "link_expired"


def test_token_of_a_client_still_needs_its_scope(stack: Stack) -> None:
    """Routes for links take tokens of clients as before."""
    assert stack.request(DOWNLOAD, filename=OWN, token=stack.token("demo", READ)).status == 200
    assert stack.request(DOWNLOAD, filename=OWN, token=stack.token("demo", SHARE)).status == 403
    assert stack.request(DOWNLOAD, filename=OWN, token=None).status == 401
