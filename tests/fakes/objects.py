"""The object store in memory, as strict as S3's documentation about parts, sizes, checksums and presigned URLs."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from ferry.aws import cursors
from ferry.conditions import format_date
from ferry.digests import combine_all, crc_to_base64
from ferry.digests import crc32c as crc32c_of
from ferry.errors import BackendUnavailable
from ferry.grid import MAX_PART_SIZE, MAX_PARTS, MIN_PART_SIZE
from ferry.model import Listed, StoredObject, StoredPart
from ferry.ports import ChecksumRefused, Deleted, NoSuchMultipart, Page, PartChanged, SignedRequest, Unfinished

LISTING = ("multiparts",)
PAGE = 1_000


@dataclass(frozen=True)
class Stored:
    """An object with its bytes. `modified` is when its upload began, as S3 has it."""

    body: bytes
    etag: str
    crc32c: int
    content_type: str
    modified: int


@dataclass
class Multipart:
    """A multipart upload in progress: parts by number, each with its bytes."""

    key: str
    content_type: str
    initiated: int
    parts: dict[int, tuple[StoredPart, bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Grant:
    """What a presigned URL allows, and until when (epoch ms)."""

    method: str
    key: str
    until: int
    headers: Mapping[str, str]
    multipart_id: str = ""
    number: int = 0


@dataclass(frozen=True)
class Answer:
    """What S3 would say to a presigned request; `code` is its error code."""

    status: int
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class MemoryObjects:
    """A `ferry.ports.ObjectStore`. `lists_crc=False` makes it a store that lists no checksum with its parts.

    `while_putting` is called during each `upload_part`, `while_completing` during each completion, so that a clock can
    go on: a completion that takes too long by it is `under_way` until `land`. `pages` counts the calls that
    listings of parts have taken.
    """

    def __init__(self, clock: Callable[[], int], *, lists_crc: bool = True) -> None:
        self.clock = clock
        self.lists_crc = lists_crc
        self.while_putting: Callable[[], object] = lambda: None
        self.while_completing: Callable[[], object] = lambda: None
        self.under_way: list[Callable[[], object]] = []
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, Multipart] = {}
        self.grants: dict[str, Grant] = {}
        self.pages = 0
        self._ids = itertools.count(1)
        self._lock = threading.RLock()

    # Multipart uploads

    def create_multipart(self, key: str, *, content_type: str) -> str:
        with self._lock:
            multipart_id = f"mp-{next(self._ids)}"
            self.uploads[multipart_id] = Multipart(key, content_type, self.clock())
            return multipart_id

    def upload_part(self, key: str, multipart_id: str, number: int, body: bytes, *, crc32c: int) -> StoredPart:
        if not 1 <= number <= MAX_PARTS or len(body) > MAX_PART_SIZE:
            raise BackendUnavailable("InvalidArgument or EntityTooLarge")
        if crc32c_of(body) != crc32c:
            raise BackendUnavailable("BadDigest")
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        self.while_putting()
        with self._lock:
            part = StoredPart(number, etag, len(body), crc32c)
            self._multipart(key, multipart_id).parts[number] = (part, bytes(body))
        return part

    def list_parts(self, key: str, multipart_id: str, *, last: int) -> Mapping[int, StoredPart]:
        with self._lock:
            parts = self._multipart(key, multipart_id).parts
            numbers = sorted(parts)
            rest = last - numbers[PAGE - 1] if len(numbers) > PAGE else 0
            self.pages += 1 + -(-rest // PAGE)
            return {number: self._listed(parts[number][0]) for number in numbers if number <= last}

    def page_of_parts(self, key: str, multipart_id: str, after: int) -> tuple[Mapping[int, StoredPart], int | None]:
        with self._lock:
            parts = self._multipart(key, multipart_id).parts
            numbers = sorted(number for number in parts if number > after)
            self.pages += 1
            page = {number: self._listed(parts[number][0]) for number in numbers[:PAGE]}
            return page, numbers[PAGE - 1] if len(numbers) > PAGE else None

    def complete_multipart(
        self,
        key: str,
        multipart_id: str,
        parts: Sequence[StoredPart],
        *,
        size: int,
        crc32c: int | None,
        until: int | None = None,
    ) -> StoredObject:
        self.while_completing()
        if until is not None and self.clock() >= until:
            self.under_way.append(lambda: self._complete(key, multipart_id, parts, size, crc32c))
            raise Unfinished
        return self._complete(key, multipart_id, parts, size, crc32c)

    def land(self) -> None:
        """Completions that took too long come to their end, if they still can."""
        for effect in self.under_way:
            with suppress(NoSuchMultipart, PartChanged):
                effect()
        self.under_way.clear()

    def _complete(
        self, key: str, multipart_id: str, parts: Sequence[StoredPart], size: int, crc32c: int | None
    ) -> StoredObject:
        with self._lock:
            upload = self._multipart(key, multipart_id)
            stored = self._named(upload, parts)
            if any(part.size < MIN_PART_SIZE for part, _ in stored[:-1]):
                raise BackendUnavailable("EntityTooSmall")
            if sum(part.size for part, _ in stored) != size:
                raise BackendUnavailable("InvalidRequest: the object size is another")
            total = combine_all((crc32c_of(body), len(body)) for _, body in stored)
            if crc32c is not None and crc32c != total:
                raise ChecksumRefused
            md5s = b"".join(bytes.fromhex(part.etag.strip('"')) for part, _ in stored)
            etag = f'"{hashlib.md5(md5s, usedforsecurity=False).hexdigest()}-{len(stored)}"'
            body = b"".join(body for _, body in stored)
            self.objects[key] = Stored(body, etag, total, upload.content_type, upload.initiated)
            del self.uploads[multipart_id]
            return StoredObject(etag, size, total)

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        with self._lock:
            upload = self.uploads.get(multipart_id)
            if upload is not None and upload.key == key:
                del self.uploads[multipart_id]

    def multiparts(self, cursor: str | None, limit: int, key: str = "") -> Page[tuple[str, str, int]]:
        after = tuple(cursors.decode(cursor, LISTING, "ss")) if cursor is not None else ("", "")
        with self._lock:
            found = sorted(
                (upload.key, multipart_id, upload.initiated)
                for multipart_id, upload in self.uploads.items()
                if upload.key.startswith(key or "o/") and key in ("", upload.key) and (upload.key, multipart_id) > after
            )
        more = cursors.encode(LISTING, found[limit - 1][:2]) if len(found) > limit else None
        return Page(found[:limit], more)

    # Whole objects

    def put(
        self, key: str, body: bytes, *, crc32c: int, content_type: str = "application/octet-stream"
    ) -> StoredObject:
        if crc32c_of(body) != crc32c:
            raise BackendUnavailable("BadDigest")
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        with self._lock:
            self.objects[key] = Stored(bytes(body), etag, crc32c, content_type, self.clock())
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
        return StoredObject(found.etag, len(found.body), found.crc32c, found.modified // 1000)

    def delete(self, key: str) -> None:
        with self._lock:
            self.objects.pop(key, None)

    def delete_prefix(self, prefix: str, *, until: int) -> Deleted:
        with self._lock:
            if self.clock() >= until:
                return Deleted(0, done=False)
            doomed = [key for key in self.objects if key.startswith(prefix)]
            return Deleted(sum(len(self.objects.pop(key).body) for key in doomed), done=True)

    def listing(self, prefix: str, cursor: str | None, limit: int) -> Page[Listed]:
        after = _after(cursor, ("objects", prefix), prefix)
        with self._lock:
            found = [
                Listed(key, len(stored.body), stored.modified)
                for key, stored in sorted(self.objects.items())
                if key.startswith(prefix) and key > after
            ]
        more = cursors.encode(("objects", prefix), [found[limit - 1].key]) if len(found) > limit else None
        return Page(found[:limit], more)

    def folders(self, prefix: str, cursor: str | None, limit: int) -> Page[str]:
        after = _after(cursor, ("folders", prefix), prefix)
        with self._lock:
            names = {key[len(prefix) :].partition("/")[:2] for key in self.objects if key.startswith(prefix)}
        found = sorted(f"{prefix}{name}/" for name, slash in names if slash and f"{prefix}{name}/" > after)
        more = cursors.encode(("folders", prefix), [found[limit - 1]]) if len(found) > limit else None
        return Page(found[:limit], more)

    # Presigned URLs

    def presign_part(
        self, key: str, multipart_id: str, number: int, *, size: int, crc32c: int | None, lifetime: int
    ) -> SignedRequest:
        headers = {} if crc32c is None else {"x-amz-checksum-crc32c": crc_to_base64(crc32c)}
        signed = headers | {"content-length": str(size)}
        grant = Grant("PUT", key, self.clock() + lifetime * 1000, signed, multipart_id, number)
        return SignedRequest(self._url(grant, partNumber=str(number), uploadId=multipart_id), headers)

    def presign_get(self, key: str, *, content_type: str, disposition: str, lifetime: int) -> str:
        headers = {"content-type": content_type, "content-disposition": disposition}
        return self._url(Grant("GET", key, self.clock() + lifetime * 1000, headers))

    def put_presigned(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """A client's PUT to a presigned URL; its Content-Length is that of the body."""
        grant = self.grants.get(url)
        if grant is None or grant.method != "PUT":
            return Answer(403, "SignatureDoesNotMatch")
        if self.clock() >= grant.until:
            return Answer(403, "AccessDenied")
        sent = {name.lower(): value for name, value in (headers or {}).items()} | {"content-length": str(len(body))}
        amz = {name for name in sent if name.startswith("x-amz-")}
        if any(sent.get(name) != value for name, value in grant.headers.items()) or amz - set(grant.headers):
            return Answer(403, "SignatureDoesNotMatch")
        crc = crc32c_of(body)
        if sent.get("x-amz-checksum-crc32c", crc_to_base64(crc)) != crc_to_base64(crc):
            return Answer(400, "BadDigest")
        try:
            self.upload_part(grant.key, grant.multipart_id, grant.number, body, crc32c=crc)
        except NoSuchMultipart:
            return Answer(404, "NoSuchUpload")
        return Answer(200)

    def get_presigned(self, url: str) -> Answer:
        """A client's GET of a presigned URL, without a range."""
        grant = self.grants.get(url)
        if grant is None or grant.method != "GET":
            return Answer(403, "SignatureDoesNotMatch")
        if self.clock() >= grant.until:
            return Answer(403, "AccessDenied")
        found = self.objects.get(grant.key)
        if found is None:
            return Answer(404, "NoSuchKey")
        return Answer(
            200,
            headers={**grant.headers, "etag": found.etag, "last-modified": format_date(found.modified // 1000)},
            body=found.body,
        )

    # Within the lock

    def _multipart(self, key: str, multipart_id: str) -> Multipart:
        upload = self.uploads.get(multipart_id)
        if upload is None or upload.key != key:
            raise NoSuchMultipart
        return upload

    def _listed(self, part: StoredPart) -> StoredPart:
        return part if self.lists_crc else StoredPart(part.number, part.etag, part.size, None)

    def _named(self, upload: Multipart, parts: Sequence[StoredPart]) -> list[tuple[StoredPart, bytes]]:
        """The parts that a completion names, if they are those that are stored."""
        if [part.number for part in parts] != list(range(1, len(parts) + 1)) or not parts:
            raise BackendUnavailable("InvalidPartOrder: with checksums parts are consecutive and start at 1")
        named = []
        for part in parts:
            found = upload.parts.get(part.number)
            if found is None or found[0].etag != part.etag or part.crc32c not in (None, found[0].crc32c):
                raise PartChanged
            named.append(found)
        return named

    def _url(self, grant: Grant, **query: str) -> str:
        serial = next(self._ids)
        url = f"https://objects.invalid/{quote(grant.key)}?{urlencode(query | {'X-Amz-Signature': str(serial)})}"
        self.grants[url] = grant
        return url


def _after(cursor: str | None, listing: tuple[str, str], prefix: str) -> str:
    if cursor is None:
        return ""
    (key,) = cursors.decode(cursor, listing, "s")
    if not str(key).startswith(prefix):
        raise cursors.invalid()
    return str(key)
