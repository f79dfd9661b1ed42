"""A Ferry service in memory, as a transport: the routes that the client uses, with faults on demand."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from client.tests import fake_links, fake_status, fake_streams
from client.tests.contract import check_request, completed, path_template
from client.tests.fake_responses import FakeFile, Fault, digest_of, file_response, problem, reply
from ferry_client.callbacks import ignore
from ferry_client.checksums import crc32c, crc32c_from_base64, crc32c_to_base64
from ferry_client.connections import ConnectionLimit
from ferry_client.transport import HttpRequest, HttpResponse

URL = "https://ferry.test"
S3_URL = "https://s3.test"
CHUNK_SIZE = 256 * 1024
PART_SIZE = 5 * 1024 * 1024


@dataclass
class FakeUpload:
    """An upload in progress."""

    upload_id: str
    name: str
    size: int
    fingerprint: str | None
    if_exists: str
    content_type: str
    metadata: dict[str, str]
    part_size: int
    chunks: dict[int, bytes] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)

    def content(self) -> bytes | None:
        """Return the bytes; None if some are missing."""
        data = bytearray(self.size)
        covered = 0
        for number, part in self.parts.items():
            first = (number - 1) * self.part_size
            data[first : first + len(part)] = part
        for index, chunk in self.chunks.items():
            first = (index - 1) * CHUNK_SIZE
            data[first : first + len(chunk)] = chunk
        for position in range(0, self.size, CHUNK_SIZE):
            is_chunk = position // CHUNK_SIZE + 1 in self.chunks
            covered += is_chunk or position // self.part_size + 1 in self.parts
        return bytes(data) if covered == -(-self.size // CHUNK_SIZE) else None


class FakeService:
    """A `Transport`. Thread-safe."""

    def __init__(self) -> None:
        self.files: dict[str, FakeFile] = {}
        self.deleted: dict[str, FakeFile] = {}
        self.uploads: dict[str, FakeUpload] = {}
        self.finished: dict[str, str | None] = {}
        """Fingerprints of completed uploads, by id."""
        self.streams: dict[str, fake_streams.FakeStream] = {}
        self.links: list[dict[str, Any]] = []
        """Bodies of links, the newest first, without their addresses."""
        self.requests: list[HttpRequest] = []
        self.before: list[Fault] = []
        """Faults before a request takes effect."""
        self.after: list[Fault] = []
        """Faults after it took effect: lost responses."""
        self.tokens: set[str] = set()
        self.is_closed = False
        self.on_bytes: Callable[[int], None] = ignore
        self.connection_limit = ConnectionLimit()
        self._ids = itertools.count(1)
        self._lock = threading.RLock()

    def send(self, request: HttpRequest) -> HttpResponse:
        with self._lock:
            self.requests.append(request)
        body = b"" if request.body is None else b"".join(request.body.blocks(lambda: 100_000))
        for faults, run in ((self.before, None), (self.after, self._serve)):
            response = run(request, body) if run else None
            for fault in list(faults):
                replaced = fault(request)
                if replaced is not None:
                    return replaced
            if response is not None:
                return response
        raise AssertionError("unreachable")

    def close(self) -> None:
        self.is_closed = True

    def count(self, method: str, path: str) -> int:
        """Return how many requests were sent to paths that begin with `path`."""
        return sum(r.method == method and urlsplit(r.url).path.startswith(path) for r in self.requests)

    # Routes

    def _serve(self, request: HttpRequest, body: bytes) -> HttpResponse:
        parts = urlsplit(request.url)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        with self._lock:
            if request.url.startswith(S3_URL):
                return self._serve_s3(request, parts.path, body)
            if parts.path == "/health":
                return reply(200, {"status": "ok", "version": "0"})
            if parts.path == "/auth/token":
                token = f"token-{next(self._ids)}"
                self.tokens.add(token)
                return reply(200, {"access_token": token, "expires_in": 900})
            if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
                return problem(401, "invalid_token", "The token is not valid.")
            handler = _ROUTES.get(f"{request.method} {path_template(parts.path)}")
            if handler is None:
                raise AssertionError(f"the fake has no route {request.method} {parts.path}")
            members = json.loads(body) if request.headers.get("Content-Type") == "application/json" else {}
            check_request(request, body)
            return completed(request, handler(self, request, query, members, body))

    def _start(self, request: Any, query: Any, members: dict[str, Any], body: bytes) -> HttpResponse:
        del request, query, body
        name, if_exists = members["filename"], members.get("if_exists", "fail")
        existing, upload = self.files.get(name), self._open_upload(name)
        if upload is not None and not members.get("restart"):
            upload.if_exists = "fail" if "fail" in (upload.if_exists, if_exists) else upload.if_exists
            if upload.fingerprint != members.get("fingerprint") or upload.size != members["size"]:
                return problem(409, "upload_in_progress", "Another upload is in progress.", upload_id=upload.upload_id)
            return reply(200, self._plan(upload))
        fingerprint = members.get("fingerprint")
        if existing is not None and fingerprint and self.finished.get(existing.upload_id) == fingerprint:
            return reply(200, {**self.record(name, existing), "state": "complete"})
        if if_exists == "rename":
            name = self.free_name(name)
        elif existing is not None and if_exists == "fail":
            return problem(409, "file_exists", "The name has a file.")
        if upload is not None:
            del self.uploads[upload.upload_id]
        upload = FakeUpload(
            self.new_id(),
            name,
            members["size"],
            members.get("fingerprint"),
            if_exists,
            members.get("content_type") or "application/octet-stream",
            members.get("metadata") or {},
            members.get("part_size", PART_SIZE),
        )
        self.uploads[upload.upload_id] = upload
        return reply(201, self._plan(upload))

    def free_name(self, name: str) -> str:
        """Return the name, or the next free one."""
        stem, dot, extension = name.rpartition(".")
        names = [name, *(f"{stem} ({n}).{extension}" if dot else f"{name} ({n})" for n in range(2, 21))]
        return next(free for free in names if free not in self.files and self._open_upload(free) is None)

    def _open_upload(self, name: str) -> FakeUpload | None:
        return next((upload for upload in self.uploads.values() if upload.name == name), None)

    def _plan(self, upload: FakeUpload) -> dict[str, Any]:
        chunk_count, part_count = -(-upload.size // CHUNK_SIZE), -(-upload.size // upload.part_size)
        received = sum(map(len, upload.chunks.values())) + sum(map(len, upload.parts.values()))
        return {
            "upload_id": upload.upload_id,
            "filename": upload.name,
            "size": upload.size,
            "state": "partial" if received else "pending",
            "chunk_url": f"{URL}/upload/chunk",
            "chunk_size": CHUNK_SIZE,
            "chunk_count": chunk_count,
            "part_size": upload.part_size,
            "part_count": part_count,
            "received": {
                "chunks": [[index, index] for index in sorted(upload.chunks)],
                "parts": [[number, number] for number in sorted(upload.parts)],
            },
            "received_bytes": received,
        }

    def _chunk(self, request: HttpRequest, query: dict[str, str], members: Any, body: bytes) -> HttpResponse:
        del members
        upload = self.uploads.get(query["upload_id"])
        if upload is None and query["upload_id"] in self.finished:
            return problem(409, "upload_complete", "The upload is complete.")
        if upload is None:
            return problem(410, "upload_expired", "The upload has expired.")
        assert digest_of(request) == crc32c(body)
        index = int(query["chunk_index"])
        if upload.chunks.get(index, body) != body:
            return problem(409, "chunk_conflict", "The chunk has other bytes.")
        upload.chunks[index] = body
        return reply(200, {"received_bytes": len(body)})

    def _parts(self, request: Any, query: Any, members: dict[str, Any], body: bytes) -> HttpResponse:
        del request, query, body
        upload = self.uploads.get(members["upload_id"])
        if upload is None:
            return problem(410, "upload_expired", "The upload has expired.")
        signed = [
            {
                "part_number": part["part_number"],
                "url": f"{S3_URL}/{upload.upload_id}/{part['part_number']}?signature=secret",
                "headers": {"x-amz-checksum-crc32c": part["checksum"]["value"]},
                "size": min(upload.part_size, upload.size - (part["part_number"] - 1) * upload.part_size),
                "expires_at": "2026-01-02T03:19:05Z",
            }
            for part in members["parts"]
        ]
        return reply(200, {"parts": signed})

    def _serve_s3(self, request: HttpRequest, path: str, body: bytes) -> HttpResponse:
        if request.method == "GET":
            file = self.files[unquote(path[1:])]
            if request.headers.get("If-Match", file.etag) != file.etag:
                return HttpResponse(412, {})
            return file_response(file, request, stream=True)
        _, upload_id, number = path.split("/")
        if crc32c_from_base64(request.headers["x-amz-checksum-crc32c"]) != crc32c(body):
            return HttpResponse(400, {}, b"<Code>BadDigest</Code>")
        if upload_id not in self.uploads:
            return HttpResponse(404, {}, b"<Code>NoSuchUpload</Code>")
        self.uploads[upload_id].parts[int(number)] = body
        return HttpResponse(200, {})

    def _complete(self, request: Any, query: Any, members: dict[str, Any], body: bytes) -> HttpResponse:
        del request, query, body
        if members["upload_id"] in self.streams:
            return fake_streams.complete(self, members)
        upload = self.uploads.get(members["upload_id"])
        done = next((file for file in self.files.values() if file.upload_id == members["upload_id"]), None)
        if upload is None and done is not None:
            return reply(200, self.record(members["filename"], done))
        if upload is None:
            return problem(410, "upload_expired", "The upload has expired.")
        data = upload.content()
        if data is None:
            return problem(409, "upload_incomplete", "Bytes are missing.")
        if crc32c(data) != crc32c_from_base64(members["checksum"]["value"]):
            return problem(400, "checksum_mismatch", "The checksum differs.")
        if upload.name in self.files and members.get("if_exists", upload.if_exists) == "fail":
            return problem(409, "file_exists", "The name has a file.")
        del self.uploads[upload.upload_id]
        self.finished[upload.upload_id] = upload.fingerprint
        file = self.store(upload.name, data, upload.content_type, upload.metadata, upload.upload_id)
        return reply(200, self.record(upload.name, file))

    def _put(self, request: HttpRequest, query: dict[str, str], members: Any, body: bytes) -> HttpResponse:
        del members
        name = query["filename"]
        existing = self.files.get(name)
        assert digest_of(request) == crc32c(body)
        if request.headers.get("If-None-Match") == "*" and existing is not None:
            return problem(412, "precondition_failed", "It exists.", current_file=self.record(name, existing))
        metadata = json.loads(base64.b64decode(request.headers.get("Ferry-Metadata", "e30=")))
        file = self.store(name, body, query.get("content_type", "application/octet-stream"), metadata)
        return reply(200 if existing else 201, self.record(name, file))

    def _download(self, request: HttpRequest, query: dict[str, str], members: Any, body: bytes) -> HttpResponse:
        del members, body
        file = self.files.get(query["filename"])
        if file is None:
            return problem(404, "not_found", "There is no such file.")
        if request.headers.get("If-Match", file.etag) != file.etag:
            return problem(412, "precondition_failed", "It is another file.")
        if query.get("redirect") == "false":
            return reply(200, {"url": f"{S3_URL}/{query['filename']}", "etag": file.etag, "size": len(file.data)})
        return file_response(file, request, stream=request.stream)

    def _get_record(self, request: Any, query: dict[str, str], members: Any, body: bytes) -> HttpResponse:
        del request, members, body
        if "filename" not in query:
            return self._list(query)
        file = self.files.get(query["filename"])
        if file is None:
            return problem(404, "not_found", "There is no such file.")
        return reply(200, self.record(query["filename"], file))

    def _list(self, query: dict[str, str]) -> HttpResponse:
        prefix, limit = query.get("prefix", ""), int(query.get("limit", "100"))
        source = self.deleted if query.get("deleted") == "true" else self.files
        names = sorted((name for name in source if name.startswith(prefix)), key=str.encode)
        names = [name for name in names if name > query.get("cursor", "")]
        page = names[:limit]
        body: dict[str, Any] = {"files": [self.record(name, source[name]) for name in page], "prefixes": []}
        if query.get("delimiter") == "/":
            deeper = {name[: name.index("/", len(prefix)) + 1] for name in names if "/" in name[len(prefix) :]}
            body = {
                "files": [self.record(name, source[name]) for name in names if "/" not in name[len(prefix) :]],
                "prefixes": sorted(deeper),
            }
        elif len(names) > limit:
            body["cursor"] = page[-1]
        return reply(200, body)

    def _move(self, request: Any, query: Any, members: dict[str, Any], body: bytes) -> HttpResponse:
        del request, query, body
        file = self.files.get(members["from"])
        if file is None:
            return problem(404, "not_found", "There is no such file.")
        if members.get("etag", file.etag) != file.etag:
            return problem(412, "precondition_failed", "It is another file.")
        if members["to"] in self.files and members.get("if_exists") != "replace":
            return problem(409, "file_exists", "The name has a file.")
        self.files[members["to"]] = self.files.pop(members["from"])
        return reply(200, self.record(members["to"], file))

    def _delete(self, request: HttpRequest, query: dict[str, str], members: Any, body: bytes) -> HttpResponse:
        del members, body
        file = self.files.get(query["filename"])
        if file is None:
            return problem(404, "not_found", "There is no such file.")
        if request.headers.get("If-Match", file.etag) != file.etag:
            return problem(412, "precondition_failed", "It is another file.")
        self.deleted[query["filename"]] = self.files.pop(query["filename"])
        return HttpResponse(204, {})

    def _delete_many(self, request: Any, query: Any, members: dict[str, Any], body: bytes) -> HttpResponse:
        del request, query, body
        deleted = [name for name in members["filenames"] if name in self.files]
        for name in deleted:
            self.deleted[name] = self.files.pop(name)
        missing = [name for name in members["filenames"] if name not in deleted]
        return reply(200, {"deleted": deleted, "missing": missing, "errors": []})

    def _restore(self, request: Any, query: Any, members: dict[str, Any], body: bytes) -> HttpResponse:
        del request, query, body
        file = self.deleted.pop(members["filename"], None)
        if file is None:
            return problem(404, "not_found", "There is nothing to restore.")
        name = members.get("to") or members["filename"]
        self.files[name] = file
        return reply(200, self.record(name, file))

    def _cancel(self, request: Any, query: dict[str, str], members: Any, body: bytes) -> HttpResponse:
        del request, members, body
        upload = self._open_upload(query["filename"])
        if upload is not None:
            del self.uploads[upload.upload_id]
        return HttpResponse(204, {})

    def new_id(self) -> str:
        """Return an id that no other has."""
        return f"upload-{next(self._ids)}"

    def store(
        self, name: str, data: bytes, content_type: str, metadata: dict[str, str], upload_id: str | None = None
    ) -> FakeFile:
        """Give a name a file."""
        number = next(self._ids)
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        file = FakeFile(data, etag, content_type, metadata, upload_id or f"put-{number}")
        self.files[name] = file
        return file

    def put_file(self, name: str, data: bytes, **metadata: str) -> FakeFile:
        """Store a file from outside the client."""
        return self.store(name, data, "application/octet-stream", metadata)

    def record(self, name: str, file: FakeFile) -> dict[str, Any]:
        """Return the record of a file."""
        return {
            "filename": name,
            "size": len(file.data),
            "etag": file.etag,
            "content_type": file.content_type,
            "checksum": {"algorithm": "crc32c", "value": crc32c_to_base64(crc32c(file.data))},
            "uploaded_at": "2026-01-02T03:04:05Z",
            "metadata": file.metadata,
            "upload_id": file.upload_id,
            "state": "complete",
        }


_ROUTES: Mapping[str, Any] = {
    "POST /upload/start": FakeService._start,
    "POST /upload/chunk": FakeService._chunk,
    "POST /upload/parts": FakeService._parts,
    "POST /upload/complete": FakeService._complete,
    "DELETE /upload": FakeService._cancel,
    "PUT /files": FakeService._put,
    "GET /files": FakeService._get_record,
    "DELETE /files": FakeService._delete,
    "POST /files/move": FakeService._move,
    "POST /files/delete": FakeService._delete_many,
    "POST /files/restore": FakeService._restore,
    "GET /download": FakeService._download,
    "HEAD /download": FakeService._download,
    "GET /download/partial": FakeService._download,
    **fake_links.ROUTES,
    **fake_streams.ROUTES,
    **fake_status.ROUTES,
}
