"""`ObjectStore` in memory, as strict about parts, sizes, checksums and presigned URLs as S3's documentation."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from ferry.aws import cursors
from ferry.errors import BackendUnavailable
from ferry.model.objects import FILE_CACHE_CONTROL, ObjectSummary, StoredObject, StoredPart
from ferry.model.uploads import OBJECT_PREFIX
from ferry.ports.errors import DeadlineExceeded, MultipartUploadNotFound, PartChanged, StoreChecksumMismatch
from ferry.ports.object_store import DeleteResult, PresignedRequest
from ferry.ports.types import Page
from ferry.rules.conditions import format_http_date
from ferry.rules.digests import combine_crc32c_all, crc32c_to_base64
from ferry.rules.digests import crc32c as crc32c_of
from ferry.rules.layout import MAX_PART_BYTES, MAX_PARTS, MIN_PART_BYTES

MULTIPART_CURSOR = ("multipart_uploads",)

PAGE_SIZE = 1_000
"""S3's limit of ListParts."""


@dataclass(frozen=True)
class FakeObject:
    """A stored object."""

    body: bytes
    """Its bytes."""

    etag: str
    """The ETag, in double quotes."""

    crc32c: int
    """CRC32C of all bytes."""

    content_type: str
    """As given when it was stored, or when its multipart upload was created."""

    modified_at: int
    """When it was stored, in epoch milliseconds. Made from parts: when its multipart upload was created, as in S3."""


@dataclass
class FakeMultipartUpload:
    """A multipart upload in progress."""

    key: str
    """The key of the object to make."""

    content_type: str
    """The content type of the object to make."""

    initiated_at: int
    """When it was created, in epoch milliseconds."""

    parts: dict[int, tuple[StoredPart, bytes]] = field(default_factory=dict)
    """The parts with their bytes, by number."""


@dataclass(frozen=True)
class PresignedGrant:
    """What a presigned URL permits."""

    method: str
    """`PUT` or `GET`."""

    key: str
    """The object's key."""

    expires_at: int
    """When it ends, in epoch milliseconds."""

    headers: Mapping[str, str]
    """Headers that a PUT must have, or that the response to a GET has."""

    multipart_id: str = ""
    """The multipart upload, for PUT."""

    part_number: int = 0
    """The part, for PUT."""


@dataclass(frozen=True)
class StoreResponse:
    """The response to a presigned request."""

    status: int
    """HTTP status."""

    code: str | None = None
    """S3's error code; None on success."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers with lower-case names."""

    body: bytes = b""
    """The body of a successful GET."""


class MemoryObjectStore:
    """An `ObjectStore`.

    Args:
        clock: the current time.
        lists_part_crc32c: whether listings of parts contain checksums, which some stores omit.
    """

    def __init__(self, clock: Callable[[], int], *, lists_part_crc32c: bool = True) -> None:
        self.clock = clock
        self.lists_part_crc32c = lists_part_crc32c
        self.on_upload_part: Callable[[], object] = lambda: None
        """Called during each `upload_part`."""
        self.on_complete_multipart: Callable[[], object] = lambda: None
        """Called during each `complete_multipart`, for example to move the clock beyond its deadline."""
        self.in_flight: list[Callable[[], object]] = []
        """Completions beyond their deadline, until `apply_in_flight`."""
        self.objects: dict[str, FakeObject] = {}
        """Stored objects by key."""
        self.multipart_uploads: dict[str, FakeMultipartUpload] = {}
        """Multipart uploads in progress by id."""
        self.grants: dict[str, PresignedGrant] = {}
        """What each presigned URL permits."""
        self.credentials_expire_at: int | None = None
        """When the credentials that sign URLs expire, in epoch milliseconds; None: never."""
        self.list_parts_calls = 0
        """Calls that S3 would have needed for all listings of parts."""
        self._ids = itertools.count(1)
        self._lock = threading.RLock()

    # Multipart uploads

    def create_multipart(self, key: str, *, content_type: str) -> str:
        with self._lock:
            multipart_id = f"mp-{next(self._ids)}"
            self.multipart_uploads[multipart_id] = FakeMultipartUpload(key, content_type, self.clock())
            return multipart_id

    def upload_part(self, key: str, multipart_id: str, number: int, body: bytes, *, crc32c: int) -> StoredPart:
        if not 1 <= number <= MAX_PARTS or len(body) > MAX_PART_BYTES:
            raise BackendUnavailable("InvalidArgument or EntityTooLarge")
        if crc32c_of(body) != crc32c:
            raise BackendUnavailable("BadDigest")
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        self.on_upload_part()
        with self._lock:
            part = StoredPart(number, etag, len(body), crc32c)
            self._require_multipart(key, multipart_id).parts[number] = (part, bytes(body))
        return part

    def copy_part(
        self, key: str, multipart_id: str, number: int, source_key: str, *, first: int, last: int
    ) -> StoredPart | None:
        body = self.get(source_key, first, last)
        return None if body is None else self.upload_part(key, multipart_id, number, body, crc32c=crc32c_of(body))

    def list_parts(self, key: str, multipart_id: str, *, max_part_number: int) -> Mapping[int, StoredPart]:
        with self._lock:
            parts = self._require_multipart(key, multipart_id).parts
            numbers = sorted(parts)
            rest = max_part_number - numbers[PAGE_SIZE - 1] if len(numbers) > PAGE_SIZE else 0
            self.list_parts_calls += 1 + -(-rest // PAGE_SIZE)
            return {number: self._as_listed(parts[number][0]) for number in numbers if number <= max_part_number}

    def list_parts_page(
        self, key: str, multipart_id: str, after_part_number: int
    ) -> tuple[Mapping[int, StoredPart], int | None]:
        with self._lock:
            parts = self._require_multipart(key, multipart_id).parts
            numbers = sorted(number for number in parts if number > after_part_number)
            self.list_parts_calls += 1
            page = {number: self._as_listed(parts[number][0]) for number in numbers[:PAGE_SIZE]}
            return page, numbers[PAGE_SIZE - 1] if len(numbers) > PAGE_SIZE else None

    def complete_multipart(
        self,
        key: str,
        multipart_id: str,
        parts: Sequence[StoredPart],
        *,
        size: int,
        crc32c: int | None,
        deadline: int | None = None,
    ) -> StoredObject:
        self.on_complete_multipart()
        if deadline is not None and self.clock() >= deadline:
            self.in_flight.append(lambda: self._complete(key, multipart_id, parts, size, crc32c))
            raise DeadlineExceeded
        return self._complete(key, multipart_id, parts, size, crc32c)

    def apply_in_flight(self) -> None:
        """Complete the multipart uploads that were beyond their deadline. Those that changed meanwhile are skipped."""
        for effect in self.in_flight:
            with suppress(MultipartUploadNotFound, PartChanged):
                effect()
        self.in_flight.clear()

    def _complete(
        self, key: str, multipart_id: str, parts: Sequence[StoredPart], size: int, crc32c: int | None
    ) -> StoredObject:
        with self._lock:
            upload = self._require_multipart(key, multipart_id)
            stored = self._match_named_parts(upload, parts)
            if any(part.size < MIN_PART_BYTES for part, _ in stored[:-1]):
                raise BackendUnavailable("EntityTooSmall")
            if sum(part.size for part, _ in stored) != size:
                raise BackendUnavailable("InvalidRequest: another object size")
            total = combine_crc32c_all((crc32c_of(body), len(body)) for _, body in stored)
            if crc32c is not None and crc32c != total:
                raise StoreChecksumMismatch
            md5s = b"".join(bytes.fromhex(part.etag.strip('"')) for part, _ in stored)
            etag = f'"{hashlib.md5(md5s, usedforsecurity=False).hexdigest()}-{len(stored)}"'
            body = b"".join(body for _, body in stored)
            self.objects[key] = FakeObject(body, etag, total, upload.content_type, upload.initiated_at)
            del self.multipart_uploads[multipart_id]
            return StoredObject(etag, size, total)

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        with self._lock:
            upload = self.multipart_uploads.get(multipart_id)
            if upload is not None and upload.key == key:
                del self.multipart_uploads[multipart_id]

    def list_multipart_uploads(self, cursor: str | None, limit: int, key: str = "") -> Page[tuple[str, str, int]]:
        after = tuple(cursors.decode(cursor, MULTIPART_CURSOR, "ss")) if cursor is not None else ("", "")
        with self._lock:
            found = sorted(
                (upload.key, multipart_id, upload.initiated_at)
                for multipart_id, upload in self.multipart_uploads.items()
                if upload.key.startswith(key or OBJECT_PREFIX)
                and key in ("", upload.key)
                and (upload.key, multipart_id) > after
            )
        more = cursors.encode(MULTIPART_CURSOR, found[limit - 1][:2]) if len(found) > limit else None
        return Page(found[:limit], more)

    # Whole objects

    def put(
        self, key: str, body: bytes, *, crc32c: int, content_type: str = "application/octet-stream"
    ) -> StoredObject:
        if crc32c_of(body) != crc32c:
            raise BackendUnavailable("BadDigest")
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        with self._lock:
            self.objects[key] = FakeObject(bytes(body), etag, crc32c, content_type, self.clock())
        return StoredObject(etag, len(body), crc32c)

    def get(self, key: str, first: int | None = None, last: int | None = None) -> bytes | None:
        with self._lock:
            found = self.objects.get(key)
        if found is None:
            return None
        if first is not None and first >= len(found.body):
            raise BackendUnavailable("InvalidRange")
        return found.body[first or 0 : None if last is None else last + 1]

    def head(self, key: str) -> StoredObject | None:
        with self._lock:
            found = self.objects.get(key)
        if found is None:
            return None
        return StoredObject(found.etag, len(found.body), found.crc32c, found.modified_at // 1000)

    def delete(self, key: str) -> None:
        with self._lock:
            self.objects.pop(key, None)

    def delete_prefix(self, prefix: str, *, deadline: int) -> DeleteResult:
        with self._lock:
            if self.clock() >= deadline:
                return DeleteResult(0, done=False)
            keys = [key for key in self.objects if key.startswith(prefix)]
            return DeleteResult(sum(len(self.objects.pop(key).body) for key in keys), done=True)

    def list_objects(self, prefix: str, cursor: str | None, limit: int) -> Page[ObjectSummary]:
        after = _start_after(cursor, ("objects", prefix), prefix)
        with self._lock:
            found = [
                ObjectSummary(key, len(stored.body), stored.modified_at)
                for key, stored in sorted(self.objects.items())
                if key.startswith(prefix) and key > after
            ]
        more = cursors.encode(("objects", prefix), [found[limit - 1].key]) if len(found) > limit else None
        return Page(found[:limit], more)

    def list_prefixes(self, prefix: str, cursor: str | None, limit: int) -> Page[str]:
        after = _start_after(cursor, ("prefixes", prefix), prefix)
        with self._lock:
            names = {key[len(prefix) :].partition("/")[:2] for key in self.objects if key.startswith(prefix)}
        found = sorted(f"{prefix}{name}/" for name, slash in names if slash and f"{prefix}{name}/" > after)
        more = cursors.encode(("prefixes", prefix), [found[limit - 1]]) if len(found) > limit else None
        return Page(found[:limit], more)

    # Presigned URLs

    def presign_part(
        self, key: str, multipart_id: str, number: int, *, size: int, crc32c: int | None, ttl_seconds: int
    ) -> PresignedRequest:
        headers = {} if crc32c is None else {"x-amz-checksum-crc32c": crc32c_to_base64(crc32c)}
        signed = headers | {"content-length": str(size)}
        grant = PresignedGrant("PUT", key, self._url_expires_at(ttl_seconds), signed, multipart_id, number)
        url = self._presign(grant, partNumber=str(number), uploadId=multipart_id)
        return PresignedRequest(url, headers, grant.expires_at)

    def presign_get(self, key: str, *, content_type: str, disposition: str, ttl_seconds: int) -> PresignedRequest:
        headers = {
            "content-type": content_type,
            "content-disposition": disposition,
            "cache-control": FILE_CACHE_CONTROL,
        }
        grant = PresignedGrant("GET", key, self._url_expires_at(ttl_seconds), headers)
        return PresignedRequest(self._presign(grant), {}, grant.expires_at)

    def _url_expires_at(self, ttl_seconds: int) -> int:
        expires_at = self.clock() + ttl_seconds * 1000
        return expires_at if self.credentials_expire_at is None else min(expires_at, self.credentials_expire_at)

    def put_presigned(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> StoreResponse:
        """A client's PUT to a presigned URL; its Content-Length is that of the body."""
        grant = self.grants.get(url)
        if grant is None or grant.method != "PUT":
            return StoreResponse(403, "SignatureDoesNotMatch")
        if self.clock() >= grant.expires_at:
            return StoreResponse(403, "AccessDenied")
        sent = {name.lower(): value for name, value in (headers or {}).items()} | {"content-length": str(len(body))}
        amz = {name for name in sent if name.startswith("x-amz-")}
        if any(sent.get(name) != value for name, value in grant.headers.items()) or amz - set(grant.headers):
            return StoreResponse(403, "SignatureDoesNotMatch")
        crc = crc32c_of(body)
        if sent.get("x-amz-checksum-crc32c", crc32c_to_base64(crc)) != crc32c_to_base64(crc):
            return StoreResponse(400, "BadDigest")
        try:
            self.upload_part(grant.key, grant.multipart_id, grant.part_number, body, crc32c=crc)
        except MultipartUploadNotFound:
            return StoreResponse(404, "NoSuchUpload")
        return StoreResponse(200)

    def get_presigned(self, url: str) -> StoreResponse:
        """Return the response to a client's GET of a presigned URL without a range."""
        grant = self.grants.get(url)
        if grant is None or grant.method != "GET":
            return StoreResponse(403, "SignatureDoesNotMatch")
        if self.clock() >= grant.expires_at:
            return StoreResponse(403, "AccessDenied")
        found = self.objects.get(grant.key)
        if found is None:
            return StoreResponse(404, "NoSuchKey")
        return StoreResponse(
            200,
            headers={**grant.headers, "etag": found.etag, "last-modified": format_http_date(found.modified_at // 1000)},
            body=found.body,
        )

    # Callers of these hold the lock.

    def _require_multipart(self, key: str, multipart_id: str) -> FakeMultipartUpload:
        upload = self.multipart_uploads.get(multipart_id)
        if upload is None or upload.key != key:
            raise MultipartUploadNotFound
        return upload

    def _as_listed(self, part: StoredPart) -> StoredPart:
        return part if self.lists_part_crc32c else StoredPart(part.number, part.etag, part.size, None)

    def _match_named_parts(
        self, upload: FakeMultipartUpload, parts: Sequence[StoredPart]
    ) -> list[tuple[StoredPart, bytes]]:
        """Return the stored parts that a completion names. Raises `PartChanged` if one is missing or different."""
        if [part.number for part in parts] != list(range(1, len(parts) + 1)) or not parts:
            raise BackendUnavailable("InvalidPartOrder: with checksums parts are consecutive and start at 1")
        named = []
        for part in parts:
            found = upload.parts.get(part.number)
            if found is None or found[0].etag != part.etag or part.crc32c not in (None, found[0].crc32c):
                raise PartChanged
            named.append(found)
        return named

    def _presign(self, grant: PresignedGrant, **query: str) -> str:
        serial = next(self._ids)
        url = f"https://objects.invalid/{quote(grant.key)}?{urlencode(query | {'X-Amz-Signature': str(serial)})}"
        self.grants[url] = grant
        return url


def _start_after(cursor: str | None, listing: tuple[str, str], prefix: str) -> str:
    if cursor is None:
        return ""
    (key,) = cursors.decode(cursor, listing, "s")
    if not str(key).startswith(prefix):
        raise cursors.invalid_cursor()
    return str(key)
