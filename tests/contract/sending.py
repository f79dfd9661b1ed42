"""How a client sends to a presigned URL, over HTTP or to the fake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from urllib.parse import urlsplit

from dev.fakes.object_store import MemoryObjectStore, StoreResponse

Sender = Callable[[str, str, bytes, Mapping[str, str]], StoreResponse]
"""Method, URL, body and headers to the store's answer."""


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
        found = {name.lower(): value for name, value in response.getheaders()}
        return StoreResponse(response.status, headers=found, body=response.read())
    finally:
        connection.close()
