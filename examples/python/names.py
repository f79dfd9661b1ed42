"""Names with spaces, quotes, "?", "#" or any other character: pass them as ?filename= instead of in the path."""

from __future__ import annotations

import base64

import requests
from connection import from_environment

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
NAME = 'Año 100%: "what?" #1.txt'


def transfer(url: str, session: requests.Session, content: bytes) -> bytes:
    """Send each request with an unusual name, and return what was downloaded."""
    named = {"filename": NAME}

    def call(method: str, path: str, **options: object) -> requests.Response:
        response = session.request(method, url + path, timeout=30, **options)  # type: ignore[arg-type]
        response.raise_for_status()
        return response

    start = {**named, "size": len(content), "if_exists": "replace", "restart": True}
    upload_id = call("POST", "/upload/start", json=start).json()["upload_id"]
    call("DELETE", "/upload", params={**named, "upload_id": upload_id})
    upload = {**named, "upload_id": call("POST", "/upload/start", json=start).json()["upload_id"]}
    call("POST", "/upload/chunk", json={**upload, "chunk_index": 1, "data": base64.b64encode(content).decode()})
    print(call("GET", "/status", params=named).json()["state"])
    call("POST", "/upload/complete", json=upload)
    call("HEAD", "/download", params=named)
    call("HEAD", "/download/partial", params=named)
    first = call("GET", "/download/partial", params=named, headers={"Range": "bytes=0-1"}).content
    whole = call("GET", "/download", params=named).content
    call("PUT", "/files", params=named, data=content, headers={"Content-Type": "application/octet-stream"})
    call("PATCH", "/files", params=named, json={"content_type": "text/plain"}, headers=MERGE_PATCH)
    print(call("GET", "/files", params=named).json()["content_type"])
    call("DELETE", "/files", params=named)
    return whole if whole.startswith(first) else b""


if __name__ == "__main__":
    print(transfer(*from_environment(), b"Hello"))
