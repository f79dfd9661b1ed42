"""Requests with the secret and the password of links, in every place where a request can have them."""

from __future__ import annotations

from typing import Any

from tests.integration.stack import Result, Stack
from tests.support.protocol_client import by_secret, draft_client, tus_client

PASSWORD, WRONG = "correct horse battery", "wrong horse battery"


def create(stack: Stack, **members: Any) -> tuple[dict[str, Any], str]:
    link: dict[str, Any] = stack.post_json("POST /links", members).json
    return link, link["url"].rpartition("/")[2]


def use_everything(stack: Stack, secret: str, password_secret: str) -> list[Result]:
    """Send requests that succeed, are rejected and fail, with secrets in paths, headers and bodies."""
    path, closed = {"secret": secret}, {"secret": password_secret}
    tus, draft = by_secret(tus_client(stack), secret), by_secret(draft_client(stack), secret)
    partial = tus.create(b"hello", upload_length="5", upload_concat="partial").headers["location"]
    return [
        stack.request("GET /l/{secret}", path=path),
        stack.request("GET /l/{secret}", path={"secret": secret[:-1]}),
        stack.request("GET /l/{secret}/files", path=path),
        stack.request("GET /l/{secret}/download", path=path),
        stack.post_json("POST /l/{secret}/token", {"password": WRONG}, path=closed),
        stack.post_json("POST /l/{secret}/token", {"password": PASSWORD, "other": PASSWORD}, path=closed),
        stack.post_json("POST /l/{secret}/token", b'{"password": "' + PASSWORD.encode(), path=closed),
        stack.request("POST /l/{secret}/token", body=f"password={PASSWORD}".encode(), path=closed),
        stack.post_json("POST /links", {"kind": "upload", "password": PASSWORD, "secret": secret}),
        tus.create(upload_concat=f"final;{partial}"),
        tus.create(upload_concat=f"final;{partial}x"),
        tus.create(upload_concat=f"neither;{partial}"),
        tus.head(secret),
        tus.create(query={"filename": "a", "secret": secret}, upload_length="1"),
        draft.create(b"x", upload_complete="?1"),
        draft.patch("f" * 32, 0, b"x", upload_complete="?1"),
    ]
