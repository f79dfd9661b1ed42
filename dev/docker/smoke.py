"""Move files through the service with plain requests: each way to send a chunk, and a comparison of every byte."""

from __future__ import annotations

import base64
import hashlib
import random
import sys
from typing import Any
from urllib.parse import quote

import requests

from dev.docker.errors import SamError
from dev.docker.start_api import SamService

CHUNK_BYTES = 4 * 1024 * 1024
ODD_NAME = 'Šalát "№ 1" #50%?+&;=.bin'
TIMEOUT_SECONDS = 60.0
"""Seconds for one request. The first request to a function may wait for its container."""


def run(service: SamService) -> None:
    """Move the files. Raises `SamError` on the first response that differs from the API's documentation."""
    client = next(client for client in service.clients if client["client_id"] == "demo")
    session = _SmokeClient(service.base_url)
    session.check_health()
    session.authenticate(client["client_id"], client["client_secret"])
    content = random.Random(20261122).randbytes(2 * CHUNK_BYTES + 1_234_567)
    session.upload(ODD_NAME, content)
    session.download(ODD_NAME, content)
    session.download_range(ODD_NAME, content, 1_000_000, 3_000_000)
    session.download_range(ODD_NAME, content, CHUNK_BYTES - 10, CHUNK_BYTES + 10)
    session.check_empty_file("empty.txt")
    session.check_errors(ODD_NAME)


class _SmokeClient:
    """Requests with their expected status, each printed with its duration."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._http = requests.Session()
        self._http.trust_env = False

    def _call(self, method: str, path: str, expected_status: int, **options: Any) -> requests.Response:
        response = self._http.request(method, self._base_url + path, timeout=TIMEOUT_SECONDS, **options)
        status = response.status_code
        if status != expected_status:
            raise SamError(f"{method} {path}: {status} instead of {expected_status}: {response.text[:500]}")
        sys.stdout.write(f"{status} {method} {path} ({response.elapsed.total_seconds() * 1000:.0f} ms)\n")
        return response

    def check_health(self) -> None:
        _require_equal("health", self._call("GET", "/health", 200).json()["status"], "ok")

    def authenticate(self, client_id: str, secret: str) -> None:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        self._call("POST", "/auth/token", 401, data={**form, "client_secret": "wrong"})
        token = self._call("POST", "/auth/token", 200, data=form).json()
        _require_equal("token type", token["token_type"], "Bearer")
        self._http.headers["Authorization"] = f"Bearer {token['access_token']}"

    def upload(self, name: str, content: bytes) -> None:
        """Send the last chunk first and as JSON, then the others as raw bytes, and the first one twice."""
        start = {
            "filename": name,
            "size": len(content),
            "chunk_size": CHUNK_BYTES,
            "if_exists": "replace",
            "restart": True,
        }
        plan = self._call("POST", "/upload/start", 201, json=start).json()
        chunks = [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)]
        _require_equal("chunk count", plan["chunk_count"], len(chunks))
        digest = base64.b64encode(hashlib.sha256(chunks[-1]).digest()).decode()
        last = {
            "filename": name,
            "chunk_index": len(chunks),
            "data": base64.b64encode(chunks[-1]).decode(),
            "checksum": {"algorithm": "sha256", "value": digest},
        }
        self._call("POST", "/upload/chunk", 200, json=last)
        raw = {"Content-Type": "application/octet-stream"}
        for index, chunk in [*enumerate(chunks[:-1], start=1), (1, chunks[0])]:
            query = f"/upload/chunk?filename={quote(name, safe='')}&chunk_index={index}&upload_id={plan['upload_id']}"
            self._call("POST", query, 200, data=chunk, headers=raw)
        status = self._call("GET", f"/status/{quote(name, safe='')}", 200).json()
        _require_equal("progress", (status["missing"], status["received_bytes"]), ([], len(content)))
        file = self._call("POST", "/upload/complete", 200, json={"filename": name}).json()
        _require_equal(
            "completed file", (file["filename"], file["size"], file["state"]), (name, len(content), "complete")
        )

    def download(self, name: str, content: bytes) -> None:
        """Follow the redirect to S3, without the token: the file is too large for a function's response."""
        redirect = self._call("GET", f"/download?filename={quote(name, safe='')}", 307, allow_redirects=False)
        response = requests.get(redirect.headers["Location"], timeout=TIMEOUT_SECONDS)
        _require_equal("status of the redirect's target", response.status_code, 200)
        _require_equal_bytes("whole file", response.content, content)

    def download_range(self, name: str, content: bytes, first: int, last: int) -> None:
        headers = {"Range": f"bytes={first}-{last}"}
        response = self._call("GET", f"/download/partial?filename={quote(name, safe='')}", 206, headers=headers)
        _require_equal("content range", response.headers["Content-Range"], f"bytes {first}-{last}/{len(content)}")
        _require_equal_bytes(f"range {first}-{last}", response.content, content[first : last + 1])

    def check_empty_file(self, name: str) -> None:
        self._call(
            "POST", "/upload/start", 201, json={"filename": name, "size": 0, "if_exists": "replace", "restart": True}
        )
        self._call("POST", "/upload/complete", 200, json={"filename": name})
        _require_equal_bytes("empty file", self._call("GET", f"/download/{name}", 200).content, b"")
        self._call("DELETE", f"/files/{name}", 204)

    def check_errors(self, name: str) -> None:
        self._call("POST", "/upload/start", 422, json={"filename": "a/../b", "size": 1})
        self._call("GET", "/status/no-such-file", 404)
        self._call("GET", f"/download?filename={quote(name, safe='')}", 401, headers={"Authorization": "Bearer x.y.z"})


def _require_equal(subject: str, actual: object, expected: object) -> None:
    if actual != expected:
        raise SamError(f"{subject}: {actual!r} instead of {expected!r}")


def _require_equal_bytes(subject: str, actual: bytes, expected: bytes) -> None:
    found, sent = hashlib.sha256(actual).hexdigest(), hashlib.sha256(expected).hexdigest()
    if found != sent:
        raise SamError(f"{subject}: {len(actual)} bytes with SHA-256 {found} instead of {len(expected)} with {sent}")
    sys.stdout.write(f"    {subject}: {len(actual)} bytes, SHA-256 {found[:16]}… as sent\n")
