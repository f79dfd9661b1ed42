"""Tokens of links over the handlers: what they say, passwords, locks."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from tests.integration.stack import Result, Stack

TOKEN = "POST /l/{secret}/token"
PASSWORD = "correct horse"


def create(stack: Stack, **members: Any) -> dict[str, Any]:
    """Create a link to a folder, and return it with its secret."""
    link: dict[str, Any] = stack.post_json("POST /links", {"kind": "download", "prefix": "in/", **members}).json
    return {**link, "secret": link["url"].rpartition("/")[2]}


def get_token(stack: Stack, link: dict[str, Any], password: str | None = None, **options: Any) -> Result:
    body = {} if password is None else {"password": password}
    return stack.post_json(TOKEN, body, path={"secret": link["secret"]}, **options)


def activity(stack: Stack, link: dict[str, Any]) -> list[str]:
    listed = stack.request("GET /links/{link_id}/activity", path={"link_id": link["link_id"]}).json["activity"]
    return [each["action"] for each in listed]


def test_token_is_no_token_of_a_client(stack: Stack) -> None:
    """Type and audience are those of links; there is no namespace and no scope of files."""
    link = create(stack)
    got = get_token(stack, link)
    assert (got.status, got.json["scope"], got.json["prefix"], got.json["expires_in"]) == (
        200,
        "link:download",
        "in/",
        900,
    )
    assert got.headers["cache-control"] == "no-store"
    token = got.json["access_token"]
    assert jwt.get_unverified_header(token)["typ"] == "ferry-link+jwt"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.keys() == {"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "scope"}
    assert (claims["aud"], claims["sub"], claims["scope"]) == ("ferry-links", link["link_id"], "link:download")


def test_token_ends_with_its_link(stack: Stack) -> None:
    """A token does not last longer than its link."""
    assert 0 < get_token(stack, create(stack, expires_in=60)).json["expires_in"] <= 60


def test_token_without_body_is_issued(stack: Stack) -> None:
    """A link without a password needs no body; unknown members and parameters are rejected."""
    path = {"secret": create(stack)["secret"]}
    assert stack.request(TOKEN, path=path).status == 200
    assert stack.post_json(TOKEN, {"passwort": "x"}, path=path).status == 422
    assert stack.post_json(TOKEN, {}, path=path, query={"password": "x"}).status == 422
    assert stack.post_json(TOKEN, b"[]", path=path).status == 422


@pytest.mark.parametrize("secret", ["x", "A" * 43, "A" * 44, "%00", "é" * 43])
def test_unknown_secret_returns_404(stack: Stack, secret: str) -> None:
    """A secret that no link has is a 404, whatever it looks like, and costs one read at most."""
    before = len(stack.call_recorder.calls)
    assert stack.post_json(TOKEN, {"password": PASSWORD}, path={"secret": secret}).status == 404
    assert len(stack.call_recorder.calls) - before <= 1


def test_token_is_issued_where_clients_get_none(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an external issuer alone, links have tokens, and the published key set of clients stays empty."""
    link = create(stack)
    monkeypatch.setenv("FERRY_ISSUE_TOKENS", "false")
    stack.new_process()
    assert get_token(stack, link).status == 200
    assert stack.request("GET /.well-known/jwks.json").json == {"keys": []}
    monkeypatch.undo()
    stack.new_process()


def test_password_opens_its_link(stack: Stack) -> None:
    """Without the password, or with another one, there is no token."""
    link = create(stack, password=PASSWORD)
    missing, wrong = get_token(stack, link), get_token(stack, link, "wrong horse")
    for got in (missing, wrong):
        assert (got.status, got.code, got.headers["www-authenticate"]) == (401, "link_password", 'Bearer realm="ferry"')
    assert "wrong" in wrong.json["detail"]
    assert get_token(stack, link, PASSWORD).status == 200
    assert activity(stack, link) == ["wrong_password"]


def test_wrong_passwords_lock_a_network(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten wrong passwords the network is locked for 15 minutes, for the right one, too; others are not."""
    link = create(stack, password=PASSWORD)
    assert [get_token(stack, link, "wrong horse").status for _ in range(10)] == [401] * 10
    locked = get_token(stack, link, PASSWORD)
    assert (locked.status, locked.code) == (429, "link_locked")
    assert 840 < int(locked.headers["retry-after"]) <= 900
    assert activity(stack, link) == ["locked", *["wrong_password"] * 10]
    elsewhere = stack_from(stack, monkeypatch, "198.51.100.7")
    assert get_token(elsewhere, link, PASSWORD).status == 200
    assert activity(stack, link)[0] == "locked"


def stack_from(stack: Stack, monkeypatch: pytest.MonkeyPatch, address: str) -> Stack:
    """Have the requests that follow come from another address, as a CDN says it."""
    monkeypatch.setenv("FERRY_CLIENT_ADDRESS_HEADER", "X-Address")
    stack.new_process()
    request = stack.request

    def with_address(route_key: str, **options: Any) -> Result:
        headers = {"x-address": f"{address}:4711", **(options.pop("headers", None) or {})}
        return request(route_key, headers=headers, **options)

    monkeypatch.setattr(stack, "request", with_address)
    return stack


def test_used_up_link_gives_no_token(stack: Stack) -> None:
    """A download link whose downloads are used up is a 410 here, too."""
    stack.request("PUT /files", query={"filename": "in/once.txt"}, body=b"x")
    link = create(stack, max_downloads=1)
    path, query = {"secret": link["secret"]}, {"filename": "in/once.txt"}
    assert stack.request("GET /l/{secret}/download", path=path, query=query).status == 200
    assert get_token(stack, link).code == "link_used_up"


def test_token_requests_are_audited_without_secrets(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    """The audit event has the link's id; no line has the secret or the password."""
    link = create(stack, password=PASSWORD)
    get_token(stack, link, PASSWORD)
    get_token(stack, link, "wrong horse")
    records = [vars(record) for record in caplog.records]
    events = [record for record in records if record.get("event") == "link.token"]
    assert [(event["outcome"], event["link_id"]) for event in events] == [
        ("success", link["link_id"]),
        ("link_password", link["link_id"]),
    ]
    assert all(value not in str(records) for value in (link["secret"], PASSWORD, "wrong horse"))
