"""Requests of a client to presigned URLs, over HTTP or to the fake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from urllib.parse import urlsplit

from dev.fakes.object_store import MemoryObjectStore, StoreResponse

Sender = Callable[[str, str, bytes, Mapping[str, str]], StoreResponse]
"""Sends method, URL, body and headers, and returns the store's response."""


def make_fake_sender(objects: MemoryObjectStore) -> Sender:
    def send(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> StoreResponse:
        return objects.put_presigned(url, body, headers) if method == "PUT" else objects.get_presigned(url)

    return send


def send_over_http(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> StoreResponse:
    split = urlsplit(url)
    connection = HTTPConnection(split.netloc)
    try:
        connection.request(method, f"{split.path}?{split.query}", body, dict(headers))
        response = connection.getresponse()
        headers_by_name = {name.lower(): value for name, value in response.getheaders()}
        return StoreResponse(response.status, headers=headers_by_name, body=response.read())
    finally:
        connection.close()
