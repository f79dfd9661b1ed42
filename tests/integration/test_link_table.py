"""Every route of template.yaml with every kind of token, and every route of links with every kind of link."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dev.local.template import load_template
from dev.paths import ROOT
from ferry import wiring
from tests.integration.stack import ADMIN, READ, SHARE, WRITE, Result, Stack, function_modules
from tests.template.routes import all_routes

APPS = {name: module.app for name, module in function_modules().items() if name != "web"}
ROUTES = {
    f"{method} {path}"
    for method, path in all_routes(
        {
            name: resource["Properties"]
            for name, resource in load_template(ROOT / "template.yaml")["Resources"].items()
            if resource["Type"] == "AWS::Serverless::Function" and name != "WebFunction"
        }
    )
}
SCOPES = {key: scope for app in APPS.values() for key, scope in app.scopes.items()}
LINK_KINDS = {key: kind for app in APPS.values() for key, kind in app.link_kinds.items()}
PROTECTED = sorted(key for key, scope in SCOPES.items() if scope is not None)
BY_SECRET = sorted(key for key in SCOPES if " /l/{secret}" in key)
OWN, FOREIGN = "in/own.txt", "out/foreign.txt"
PASSWORD = "correct horse"


def test_table_has_every_route() -> None:
    """The routes of the table are those of the template, so that a new one cannot be left out."""
    assert set(SCOPES) == ROUTES
    assert len(PROTECTED) > 40
    assert len(BY_SECRET) > 15


@pytest.fixture(scope="module", autouse=True)
def files(stack: Stack) -> None:
    """A file in the folder of the links, and one outside."""
    for name in (OWN, FOREIGN):
        stack.request("PUT /files/{filename+}", filename=name, body=name.encode())


def send(stack: Stack, key: str, *, token: str | None = None, secret: str | None = None, name: str = OWN) -> Result:
    """Send a request that changes nothing: to a name or an upload that is not there, or with a body that is not valid.

    Whether the caller may use the route is decided before.
    """
    path = {"upload_id": "f" * 32, "link_id": "f" * 32, "secret": secret or ""}
    path = {parameter: value for parameter, value in path.items() if f"{{{parameter}}}" in key}
    headers = {"tus-resumable": "1.0.0", "upload-offset": "0"}
    headers |= {"x-http-method-override": "HEAD"} if key.startswith("POST") and "{upload_id}" in key else {}
    headers |= {} if token is None else {"authorization": f"Bearer {token}"}
    in_path = "{filename+}" in key
    query = {"filename": name} if key.startswith(("GET", "HEAD")) and not in_path and key.endswith("/download") else {}
    body = b"{" if key.startswith(("POST", "PUT", "PATCH")) and "uploads" not in key else None
    if key == "POST /l/{secret}/token":
        body = b"{}"
    return stack.request(
        key, filename=name if in_path else None, path=path, query=query, headers=headers, body=body, token=None
    )


@pytest.mark.parametrize("scope", [READ, WRITE, SHARE, ADMIN])
def test_token_of_a_client_opens_the_routes_of_its_scope(stack: Stack, scope: str) -> None:
    """A client with one scope gets past the check where the route needs that scope, and a 403 elsewhere."""
    token = stack.token("stranger", scope)
    for key in PROTECTED:
        got = send(stack, key, token=token, name="nothing")
        assert (got.status == 403) == (SCOPES[key] != scope), f"{key}: {got.status}"
        assert got.status != 401, key


def create(stack: Stack, **members: Any) -> dict[str, Any]:
    link: dict[str, Any] = stack.post_json("POST /links", members).json
    return {**link, "secret": link["url"].rpartition("/")[2]}


def token_of(stack: Stack, link: dict[str, Any]) -> str:
    body = {"password": PASSWORD} if link["password"] else {}
    got = stack.post_json("POST /l/{secret}/token", body, path={"secret": link["secret"]})
    return str(got.json["access_token"])


KINDS: dict[str, dict[str, Any]] = {
    "file": {"kind": "download", "filename": OWN},
    "folder": {"kind": "download", "prefix": "in/"},
    "upload": {"kind": "upload", "prefix": "in/"},
}


@pytest.mark.parametrize(
    ("kind", "end"),
    [("file", "revoked"), ("folder", "expired"), ("folder", "disabled"), ("upload", "expired"), ("upload", "revoked")],
)
def test_token_of_an_ended_link_opens_nothing(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, kind: str, end: str
) -> None:
    """On the routes that take the kind of link it is a 410 with the reason, on all others a 403."""
    link = create(stack, **KINDS[kind])
    token = token_of(stack, link)
    if end == "revoked":
        stack.request("DELETE /links/{link_id}", path={"link_id": link["link_id"]})
    links = wiring.links()
    links.forget(link["link_id"])
    now = links.clock() + 8 * 86_400_000
    if end == "expired":
        monkeypatch.setattr(links, "clock", lambda: now)
    if end == "disabled":
        monkeypatch.setattr(links, "is_client_disabled", lambda _: True)
    code = "link_expired" if end == "expired" else "link_revoked"
    for key in PROTECTED:
        got = send(stack, key, token=token)
        expected = 410 if LINK_KINDS.get(key) is not None else 403
        assert got.status == expected, f"{key}: {got.status}"
        if got.status == 410 and got.body:
            assert got.code == code, key


def expected_below_link(key: str, kind: str, name: str) -> int:
    """Return the status of a request with the secret of a link that works and has no password."""
    path = key.partition("/l/{secret}")[2]
    if path in ("", "/token"):
        return 200
    is_upload = path.startswith("/uploads")
    if is_upload != (kind == "upload"):
        return 403
    if is_upload:
        return 404 if "{upload_id}" in path else 400
    if path == "/files":
        return 403 if kind == "file" else 200
    return 200 if name == OWN else 404


@pytest.mark.parametrize("state", ["works", "password", "unknown", "expired", "revoked", "disabled"])
@pytest.mark.parametrize("kind", KINDS)
def test_route_below_a_link_serves_what_the_link_is_for(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, kind: str, state: str
) -> None:
    """By the secret alone: names of the link, and the routes of its kind. A client's token beside it widens nothing."""
    link = create(stack, **KINDS[kind], **({"password": PASSWORD} if state == "password" else {}))
    if state == "revoked":
        stack.request("DELETE /links/{link_id}", path={"link_id": link["link_id"]})
    links = wiring.links()
    links.forget(link["link_id"])
    now = links.clock() + 8 * 86_400_000
    if state == "expired":
        monkeypatch.setattr(links, "clock", lambda: now)
    if state == "disabled":
        monkeypatch.setattr(links, "is_client_disabled", lambda _: True)
    secret = "x" * 43 if state == "unknown" else link["secret"]
    ended = {"unknown": 404, "expired": 410, "revoked": 410, "disabled": 410}.get(state)
    for key in BY_SECRET:
        for name in (OWN, FOREIGN) if state in ("works", "password") else (OWN,):
            expected = ended or expected_below_link(key, kind, name)
            is_of_kind = ("uploads" in key) == (kind == "upload") or key.endswith("/token")
            if state == "password" and is_of_kind and not key.endswith(" /l/{secret}"):
                expected = 401
            if key.startswith("OPTIONS"):
                expected = 200
            for token in (None, stack.token()) if state == "works" else (stack.token(),):
                got = send(stack, key, token=token, secret=secret, name=name)
                assert got.status == expected, f"{key} {name}: {got.status} {got.body!r}"
                assert secret not in got.body.decode() or key.startswith("GET /l/{secret}"), key
                assert got.headers["referrer-policy"] == "no-referrer"


def test_link_is_no_capability_of_its_id(stack: Stack) -> None:
    """The id of a link opens nothing: neither as a secret nor as a token."""
    link = create(stack, **KINDS["folder"])
    for secret in (link["link_id"], link["link_id"] + "0" * 11):
        for key in BY_SECRET:
            if not key.startswith("OPTIONS"):
                assert send(stack, key, secret=secret).status == 404, key
    for key in PROTECTED:
        assert send(stack, key, token=link["secret"]).status == 401, key
    assert link["secret"] not in json.dumps(stack.request("GET /links").json)
