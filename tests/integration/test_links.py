"""Links over the handlers: create, list, open, download, delete."""

from __future__ import annotations

import re
from typing import Any

import boto3
import pytest

from ferry import wiring
from ferry.model.uploads import object_key
from tests.integration.stack import READ, SHARE, WRITE, Result, Stack

DOWNLOAD = "GET /l/{secret}/download"
DOWNLOAD_BY_PATH = "GET /l/{secret}/download/{filename+}"
OPEN = "GET /l/{secret}"
LIST = "GET /l/{secret}/files"
PUBLIC_KEYS = [OPEN, DOWNLOAD, DOWNLOAD_BY_PATH, LIST]
SECRET_HEADERS = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-robots-tag": "noindex, nofollow"}


def create(stack: Stack, **members: Any) -> dict[str, Any]:
    """Create a link and return it, with its secret."""
    created = stack.post_json("POST /links", {"kind": "download", **members})
    assert created.status == 201, created.body
    link: dict[str, Any] = created.json
    return {**link, "secret": link["url"].rpartition("/")[2]}


def send(stack: Stack, key: str, link: dict[str, Any], **options: Any) -> Result:
    return stack.request(key, path={"secret": link["secret"]}, **options)


@pytest.fixture(scope="module", autouse=True)
def files(stack: Stack) -> None:
    """Two files in a folder, and one beside it."""
    for name in ("shared/a b?.txt", "shared/deep/c.txt", "secret.txt"):
        body = f"content of {name}".encode()
        stack.request("PUT /files/{filename+}", filename=name, headers={"content-type": "text/plain"}, body=body)


def test_link_shows_what_was_asked_for(stack: Stack) -> None:
    """The new link has the defaults, its address once, and nothing of its secret elsewhere."""
    link = create(stack, filename="secret.txt", label="Plans <b>")
    shown = {name: link[name] for name in ("kind", "filename", "label", "max_downloads", "password", "created_by")}
    assert shown == {
        "kind": "download",
        "filename": "secret.txt",
        "label": "Plans <b>",
        "max_downloads": 1_000,
        "password": False,
        "created_by": "demo-files:read-files:write-files:share-files:admin",
    }
    assert link["used"] == {"downloads": 0, "files": 0, "bytes": 0}
    assert link["url"].startswith("https://id.execute-api.us-east-1.amazonaws.com/l/")
    assert len(link["secret"]) == 43
    got = stack.request("GET /links/{link_id}", path={"link_id": link["link_id"]}).json
    assert got == {name: value for name, value in link.items() if name not in ("url", "secret")}
    listed = stack.request("GET /links", query={"limit": "1"}).json
    assert listed["links"] == [got]
    assert link["secret"] not in str(listed)


def test_upload_link_has_a_folder_of_its_own(stack: Stack) -> None:
    """Without a prefix the folder has the id of the link."""
    link = create(stack, kind="upload")
    assert (link["prefix"], link["max_files"], link["max_bytes"]) == (
        f"uploads/{link['link_id']}/",
        1_000,
        100 * 1024**3,
    )
    assert create(stack, kind="upload", prefix="in box/", max_files=2, max_bytes=5)["prefix"] == "in box/"


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"filename": "secret.txt", "prefix": "shared/"},
        {"prefix": "shared"},
        {"prefix": "/"},
        {"prefix": "a//"},
        {"prefix": "../"},
        {"filename": ""},
        {"filename": "a", "kind": "upload"},
        {"kind": "upload", "max_downloads": 1},
        {"kind": "upload", "max_files": 0},
        {"prefix": "shared/", "max_files": 1},
        {"prefix": "shared/", "max_downloads": 0},
        {"prefix": "shared/", "expires_in": 59},
        {"prefix": "shared/", "expires_in": 90 * 86_400 + 1},
        {"prefix": "shared/", "password": "1234567"},
        {"prefix": "shared/", "password": "ü" * 129},
        {"prefix": "shared/", "label": "x" * 201},
        {"prefix": "shared/", "label": "a\nb"},
        {"prefix": "shared/", "unknown": 1},
        {"kind": "both", "prefix": "shared/"},
    ],
)
def test_link_with_invalid_member_is_rejected(stack: Stack, members: dict[str, Any]) -> None:
    """What does not fit together, or is out of its bounds, is a 422."""
    assert stack.post_json("POST /links", {"kind": "download", **members}).status == 422


def test_link_to_missing_file_returns_404(stack: Stack) -> None:
    """A link needs a file that is there; a folder may be empty."""
    assert stack.post_json("POST /links", {"kind": "download", "filename": "nothing"}).status == 404
    assert create(stack, prefix="nothing/")["prefix"] == "nothing/"


@pytest.mark.parametrize(("kind", "scope"), [("download", READ), ("upload", WRITE)])
def test_link_needs_the_scope_that_it_grants(stack: Stack, kind: str, scope: str) -> None:
    """`files:share` alone shares nothing: a client grants only what it may do itself."""
    body = {"kind": kind, "prefix": "shared/"}
    alone = stack.post_json("POST /links", body, token=stack.token("demo", SHARE))
    assert (alone.status, alone.code, alone.json["scope"]) == (403, "insufficient_scope", scope)
    without = stack.post_json("POST /links", body, token=stack.token("demo", READ, WRITE))
    assert (without.status, without.json["scope"]) == (403, SHARE)
    assert stack.post_json("POST /links", body, token=stack.token("demo", SHARE, scope)).status == 201


def test_open_link_as_json_and_as_page(stack: Stack) -> None:
    """JSON for programs, a page for people, neither with names behind a password nor with markup of strangers."""
    link = create(stack, prefix="shared/", label="<script>alert(1)</script>", max_downloads=5)
    got = send(stack, OPEN, link)
    assert (got.json["kind"], got.json["prefix"], got.json["left"]) == ("download", "shared/", {"downloads": 5})
    page = send(stack, OPEN, link, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    policy = page.headers["content-security-policy"]
    assert "script-src https://id.execute-api.us-east-1.amazonaws.com/assets/;" in policy
    scripts = re.findall(rb"<script[^>]*>", page.body)
    assert scripts == [
        b'<script src="/assets/current/reload.js">',
        b'<script type="module" src="/assets/current/link.js">',
    ]
    assert b"alert" in page.body
    assert link["secret"].encode() in page.body
    assert b"download/shared/a%20b%3F.txt" in page.body
    protected = create(stack, prefix="shared/", password="long enough")
    assert "prefix" not in send(stack, OPEN, protected).json
    assert b"shared/" not in send(stack, OPEN, protected, headers={"accept": "text/html"}).body


def test_ended_link_as_page(stack: Stack) -> None:
    """A person sees a page that says why a link does not work; it has the secret's headers and no secret."""
    link = create(stack, filename="secret.txt")
    stack.request("DELETE /links/{link_id}", path={"link_id": link["link_id"]})
    for secret, status, code in ((link["secret"], 410, "link_revoked"), ("A" * 43, 404, "not_found")):
        page = send(stack, OPEN, {"secret": secret}, headers={"accept": "text/html"})
        assert page.status == status
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert SECRET_HEADERS.items() <= page.headers.items()
        assert f'data-code="{code}"'.encode() in page.body
        assert secret.encode() not in page.body
        assert send(stack, OPEN, {"secret": secret}, headers={"accept": "application/json"}).code == code


@pytest.mark.parametrize("key", PUBLIC_KEYS)
def test_every_answer_of_a_link_is_kept_secret(stack: Stack, key: str) -> None:
    """Neither caches nor crawlers keep what is below /l/, and no page gets the address; errors included."""
    link = create(stack, prefix="shared/")
    answers = [
        send(stack, key, link, filename="shared/deep/c.txt"),
        send(stack, key, {"secret": "A" * 43}, filename="x"),
        send(stack, key, {"secret": "x"}, filename="x"),
        send(stack, key, link, query={"filename": "\ufffd", "limit": "0"}, filename=None),
    ]
    for answer in answers:
        assert SECRET_HEADERS.items() <= answer.headers.items()
    assert [answer.status for answer in answers[1:3]] == [404, 404]


def test_download_by_link_of_a_file(stack: Stack) -> None:
    """A link of one file needs no name, and takes no other one."""
    link = create(stack, filename="secret.txt")
    assert send(stack, DOWNLOAD, link).body == b"content of secret.txt"
    assert send(stack, DOWNLOAD, link, query={"filename": "secret.txt"}).status == 200
    assert send(stack, DOWNLOAD, link, query={"filename": "shared/deep/c.txt"}).status == 404
    assert send(stack, DOWNLOAD_BY_PATH, link, filename="shared/deep/c.txt").status == 404
    assert send(stack, LIST, link).code == "link_forbidden"


def test_download_by_link_of_a_folder(stack: Stack) -> None:
    """A link of a folder has whole names, and nothing outside."""
    link = create(stack, prefix="shared/")
    assert send(stack, DOWNLOAD_BY_PATH, link, filename="shared/a b?.txt").body == b"content of shared/a b?.txt"
    assert send(stack, DOWNLOAD, link, query={"filename": "shared/deep/c.txt"}).status == 200
    assert send(stack, DOWNLOAD, link).status == 422
    assert send(stack, DOWNLOAD, link, query={"filename": "secret.txt"}).status == 404
    names = [file["filename"] for file in send(stack, LIST, link).json["files"]]
    assert names == ["shared/a b?.txt", "shared/deep/c.txt"]
    folders = send(stack, LIST, link, query={"prefix": "shared/", "delimiter": "/"}).json
    assert folders["prefixes"] == ["shared/deep/"]
    assert send(stack, LIST, link, query={"prefix": "s"}).status == 404
    assert send(stack, LIST, link, query={"deleted": "true"}).code == "link_forbidden"


def test_bearer_token_beside_a_link_widens_nothing(stack: Stack) -> None:
    """A token of the owner beside the secret is not looked at."""
    link = create(stack, prefix="shared/")
    headers = {"authorization": f"Bearer {stack.token()}"}
    assert send(stack, DOWNLOAD, link, query={"filename": "secret.txt"}, headers=headers).status == 404
    assert send(stack, DOWNLOAD, link, query={"filename": "shared/deep/c.txt"}, headers=headers).status == 200


def test_link_with_password_gives_nothing_without_a_token(stack: Stack) -> None:
    """The secret alone is not enough."""
    link = create(stack, prefix="shared/", password="long enough")
    for key in (DOWNLOAD, LIST):
        got = send(stack, key, link, query={"filename": "shared/deep/c.txt"})
        assert (got.status, got.code) == (401, "link_password")


def test_upload_link_downloads_nothing(stack: Stack) -> None:
    """An upload link shows and gives no file."""
    link = create(stack, kind="upload", prefix="shared/")
    for key in (DOWNLOAD, LIST):
        assert send(stack, key, link, query={"filename": "shared/deep/c.txt"}).code == "link_forbidden"
    assert send(stack, OPEN, link).json["left"] == {"files": 1_000, "bytes": 100 * 1024**3}


def test_downloads_are_counted_and_recorded(stack: Stack) -> None:
    """Bytes, ranges and URLs count, before they are answered; HEAD, 304, 416 and prefetches do not."""
    stack.request("PUT /files", query={"filename": "counted.txt", "content_type": "text/plain"}, body=b"content")
    link = create(stack, filename="counted.txt", max_downloads=4)
    etag = send(stack, DOWNLOAD, link).headers["etag"]
    for headers, status in (
        ({"range": "bytes=0-1"}, 206),
        ({"if-none-match": etag}, 304),
        ({"range": "bytes=999-"}, 416),
        ({"sec-purpose": "prefetch;prerender"}, 403),
    ):
        assert send(stack, DOWNLOAD, link, headers=headers).status == status
    assert send(stack, "HEAD /l/{secret}/download", link).status == 200
    shown = send(stack, DOWNLOAD, link, query={"disposition": "inline"})
    assert (shown.status, "X-Amz-Expires=60&" in shown.headers["location"]) == (307, True)
    assert "url" in send(stack, DOWNLOAD, link, query={"redirect": "false"}).json
    for key in (DOWNLOAD, "HEAD /l/{secret}/download", OPEN):
        assert send(stack, key, link).status == 410
    assert send(stack, DOWNLOAD, link).code == "link_used_up"
    path = {"link_id": link["link_id"]}
    got = stack.request("GET /links/{link_id}", path=path).json
    assert (got["used"]["downloads"], got["state"]) == (4, "used_up")
    activity = stack.request("GET /links/{link_id}/activity", path=path).json
    assert [(each["action"], each["filename"], each["network"]) for each in activity["activity"]] == [
        ("download", "counted.txt", "192.0.2.0/24")
    ] * 4
    assert "approximate" not in activity


def test_unlimited_downloads_write_nothing(stack: Stack) -> None:
    """Without a limit a GET writes nothing, and the activity says that it is approximate."""
    link = create(stack, filename="secret.txt", max_downloads=None)
    assert link["max_downloads"] is None
    before = len(stack.call_recorder.calls)
    assert send(stack, DOWNLOAD, link).status == 200
    actions = {call.permission.action for call in stack.call_recorder.calls[before:]}
    assert actions == {"dynamodb:GetItem", "s3:GetObject"}
    activity = stack.request("GET /links/{link_id}/activity", path={"link_id": link["link_id"]}).json
    assert activity == {"activity": [], "approximate": True}


def test_link_to_a_file_with_missing_object_returns_503(stack: Stack) -> None:
    """A download by a link without its object is an error, which counts nothing."""
    file = stack.request("PUT /files", query={"filename": "gone.txt"}, body=b"content").json
    link = create(stack, filename="gone.txt", max_downloads=1)
    boto3.client("s3").delete_object(Bucket="bucket", Key=object_key(file["upload_id"]))
    assert send(stack, DOWNLOAD, link).status == 503
    assert send(stack, OPEN, link).json["left"] == {"downloads": 1}


def test_deleted_link_ends(stack: Stack) -> None:
    """A deleted link is a 410 once the caches are over, and is listed as revoked; a repeated deletion succeeds."""
    link = create(stack, filename="secret.txt")
    path = {"link_id": link["link_id"]}
    assert send(stack, DOWNLOAD, link).status == 200
    for _ in range(2):
        assert stack.request("DELETE /links/{link_id}", path=path).status == 204
    stack.new_process()
    for key in (OPEN, DOWNLOAD):
        got = send(stack, key, link)
        assert (got.status, got.code) == (410, "link_revoked")
    assert stack.request("GET /links/{link_id}", path=path).json["state"] == "revoked"
    unknown = stack.request("DELETE /links/{link_id}", path={"link_id": "0" * 32})
    assert (unknown.status, unknown.code) == (404, "not_found")


def test_expired_link_ends(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link is a 410 from its expiry on."""
    link = create(stack, filename="secret.txt", expires_in=60)
    now = wiring.links().clock()
    monkeypatch.setattr(wiring.links(), "clock", lambda: now + 61_000)
    got = send(stack, OPEN, link)
    assert (got.status, got.code) == (410, "link_expired")


def test_links_of_a_disabled_client_are_revoked(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the client that created a link is disabled, requests by the link are rejected as revoked."""
    link = create(stack, filename="secret.txt")
    monkeypatch.setattr(wiring.links(), "is_client_disabled", lambda client_id: client_id == link["created_by"])
    assert send(stack, DOWNLOAD, link).code == "link_revoked"
    monkeypatch.setattr(wiring.links(), "is_client_disabled", lambda client_id: client_id == "another")
    assert send(stack, DOWNLOAD, link).status == 200


def test_moved_file_is_not_found_by_its_link(stack: Stack) -> None:
    """A link follows the name: replaced content is served, a moved file is a 404."""
    link = create(stack, filename="shared/deep/c.txt")
    stack.request("PUT /files", query={"filename": "shared/deep/c.txt"}, body=b"new")
    assert send(stack, DOWNLOAD, link).body == b"new"
    stack.post_json("POST /files/move", {"from": "shared/deep/c.txt", "to": "moved"})
    assert (send(stack, DOWNLOAD, link).status, send(stack, OPEN, link).status) == (404, 200)


def test_robots_are_kept_away_from_links(stack: Stack) -> None:
    """/robots.txt disallows what is below /l/."""
    assert stack.request("GET /robots.txt").body == b"User-agent: *\nDisallow: /l/\n"
