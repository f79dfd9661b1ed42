"""Clients of `/uploads` over the functions: requests of tus and of the IETF draft, header by header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.integration.stack import Result, Stack

TUS_TYPE = "application/offset+octet-stream"
DRAFT_TYPE = "application/partial-upload"


@dataclass
class ProtocolClient:
    """A client that sends the headers of one protocol with each request, unless a request overrides them."""

    stack: Stack
    """Where the requests go."""
    common: Mapping[str, str]
    """Headers of every request."""
    media_type: str
    """The type of appended bytes."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of each request."""
    secret: str = ""
    """The secret of the link that the requests come by; empty: they come with a token."""

    def create(
        self,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **more: str,
    ) -> Result:
        """Create an upload. Header names have `_` for `-`; an empty value leaves a header out."""
        typed = {"content-type": self.media_type} if body is not None else {}
        return self._send("POST /uploads", None, body, {**typed, **_names({**(headers or {}), **more})}, query)

    def upload_id(self, result: Result) -> str:
        """Return the id of a created upload."""
        assert result.status == 201, result.body
        return result.headers["location"].rpartition("/")[2]

    def head(self, upload_id: str, method: str = "HEAD", **headers: str) -> Result:
        return self._send(f"{method} /uploads/{{upload_id}}", upload_id, None, _names(headers), None)

    def patch(self, upload_id: str, offset: int | None, body: bytes, method: str = "PATCH", **headers: str) -> Result:
        """Append bytes; without an offset, the request has none."""
        typed = {"content-type": self.media_type, **({} if offset is None else {"upload-offset": str(offset)})}
        return self._send(f"{method} /uploads/{{upload_id}}", upload_id, body, {**typed, **_names(headers)}, None)

    def delete(self, upload_id: str, **headers: str) -> Result:
        return self._send("DELETE /uploads/{upload_id}", upload_id, None, _names(headers), None)

    def _send(
        self,
        route_key: str,
        upload_id: str | None,
        body: bytes | None,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None,
    ) -> Result:
        sent = {name: value for name, value in {**self.common, **headers}.items() if value}
        path = {"upload_id": upload_id} if upload_id else {}
        if self.secret:
            route_key, path = route_key.replace(" /", " /l/{secret}/"), {**path, "secret": self.secret}
        return self.stack.request(
            route_key,
            path=path,
            body=body,
            headers=sent,
            query=query,
            **self.options,
        )


def tus_client(stack: Stack) -> ProtocolClient:
    return ProtocolClient(stack, {"tus-resumable": "1.0.0"}, TUS_TYPE)


def draft_client(stack: Stack) -> ProtocolClient:
    return ProtocolClient(stack, {}, DRAFT_TYPE)


def by_secret(client: ProtocolClient, secret: str) -> ProtocolClient:
    """Return the client below the address of a link, without a token."""
    return replace(client, secret=secret, options={"token": None})


def _names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
