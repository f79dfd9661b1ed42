"""A stranger's first transfer, in plain requests: every way of sending a chunk, and every byte compared."""

from __future__ import annotations

import base64
import hashlib
import random
import sys
from typing import Any
from urllib.parse import quote

import requests

from sam.errors import SamError
from sam.stack import Service

CHUNK = 4 * 1024 * 1024
ODD_NAME = 'Šalát "№ 1" #50%?+&;=.bin'
TIMEOUT = 60.0
"""Seconds for one request; the first to a function starts its container."""


def run(service: Service) -> None:
    """Raises `SamError` on the first answer that is not as the contract has it."""
    client = next(client for client in service.clients if client["client_id"] == "demo")
    session = _Session(service.base_url)
    session.health()
    session.sign_in(client["client_id"], client["client_secret"])
    content = random.Random(20261122).randbytes(2 * CHUNK + 1_234_567)  # noqa: S311 - bytes to compare, no secret
    session.upload(ODD_NAME, content)
    session.download(ODD_NAME, content)
    session.partial(ODD_NAME, content, 1_000_000, 3_000_000)
    session.partial(ODD_NAME, content, CHUNK - 10, CHUNK + 10)
    session.empty("empty.txt")
    session.refusals(ODD_NAME)


class _Session:
    def __init__(self, base: str) -> None:
        self._base = base
        self._http = requests.Session()
        self._http.trust_env = False

    def _call(self, method: str, path: str, status: int, **options: Any) -> requests.Response:
        answer = self._http.request(method, self._base + path, timeout=TIMEOUT, **options)
        if answer.status_code != status:
            raise SamError(f"{method} {path}: {answer.status_code} instead of {status}: {answer.text[:500]}")
        sys.stdout.write(f"{answer.status_code} {method} {path} ({answer.elapsed.total_seconds() * 1000:.0f} ms)\n")
        return answer

    def health(self) -> None:
        _same("health", self._call("GET", "/health", 200).json()["status"], "ok")

    def sign_in(self, client_id: str, secret: str) -> None:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        self._call("POST", "/auth/token", 401, data={**form, "client_secret": "wrong"})
        token = self._call("POST", "/auth/token", 200, data=form).json()
        _same("token type", token["token_type"], "Bearer")
        self._http.headers["Authorization"] = f"Bearer {token['access_token']}"

    def upload(self, name: str, content: bytes) -> None:
        """The last chunk first and as JSON, then the others as raw bytes; one of them twice."""
        start = {"filename": name, "size": len(content), "chunk_size": CHUNK, "if_exists": "replace", "restart": True}
        plan = self._call("POST", "/upload/start", 201, json=start).json()
        chunks = [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)]
        _same("chunk count", plan["chunk_count"], len(chunks))
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
        _same("progress", (status["missing"], status["received_bytes"]), ([], len(content)))
        file = self._call("POST", "/upload/complete", 200, json={"filename": name}).json()
        _same("completed file", (file["filename"], file["size"], file["state"]), (name, len(content), "complete"))

    def download(self, name: str, content: bytes) -> None:
        """It is larger than a function may answer, so S3 serves it, to a client that keeps its token to itself."""
        where = self._call("GET", f"/download?filename={quote(name, safe='')}", 307, allow_redirects=False)
        found = requests.get(where.headers["Location"], timeout=TIMEOUT)
        _same("status of the redirect's target", found.status_code, 200)
        _same_bytes("whole file", found.content, content)

    def partial(self, name: str, content: bytes, first: int, last: int) -> None:
        headers = {"Range": f"bytes={first}-{last}"}
        answer = self._call("GET", f"/download/partial?filename={quote(name, safe='')}", 206, headers=headers)
        _same("content range", answer.headers["Content-Range"], f"bytes {first}-{last}/{len(content)}")
        _same_bytes(f"range {first}-{last}", answer.content, content[first : last + 1])

    def empty(self, name: str) -> None:
        self._call(
            "POST", "/upload/start", 201, json={"filename": name, "size": 0, "if_exists": "replace", "restart": True}
        )
        self._call("POST", "/upload/complete", 200, json={"filename": name})
        _same_bytes("empty file", self._call("GET", f"/download/{name}", 200).content, b"")
        self._call("DELETE", f"/files/{name}", 204)

    def refusals(self, name: str) -> None:
        self._call("POST", "/upload/start", 422, json={"filename": "a/b", "size": 1})
        self._call("GET", "/status/nobody-has-sent-this", 404)
        self._call("GET", f"/download?filename={quote(name, safe='')}", 401, headers={"Authorization": "Bearer x.y.z"})


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise SamError(f"{what}: {found!r} instead of {wanted!r}")


def _same_bytes(what: str, found: bytes, wanted: bytes) -> None:
    left, right = hashlib.sha256(found).hexdigest(), hashlib.sha256(wanted).hexdigest()
    if left != right:
        raise SamError(f"{what}: {len(found)} bytes with SHA-256 {left} instead of {len(wanted)} with {right}")
    sys.stdout.write(f"    {what}: {len(found)} bytes, SHA-256 {left[:16]}… as sent\n")
