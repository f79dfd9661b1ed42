"""Downloads: bytes, ranges, headers and redirects, and the calls that they take."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace

import pytest

from dev.fakes.cleanup_repository import MemoryCleanupRepository
from dev.fakes.clock import START_MS, SettableClock
from dev.fakes.faults import CallLog, Fault, FaultPlan, with_faults
from dev.fakes.file_repository import MemoryFileRepository
from dev.fakes.link_repository import MemoryLinkRepository
from dev.fakes.object_store import MemoryObjectStore
from dev.fakes.sequential_repository import MemorySequentialRepository
from dev.fakes.upload_repository import MemoryUploadRepository
from ferry.downloads.download import MAX_BODY_BYTES, DownloadRequest, DownloadResponse, ResponseKind, download
from ferry.errors import BackendUnavailable, FileNotFound, PreconditionFailed, RangeNotSatisfiable
from ferry.model.files import File
from ferry.rules.conditions import Conditions
from ferry.rules.digests import crc32c
from ferry.services import NullCompletionQueue, Services

NS = "ns"
NAME = 'ein "Straße".html'
SMALL_BODY = bytes(range(256)) * 4
LARGE_BODY = bytes(MAX_BODY_BYTES + 1)
MODIFIED = "Mon, 21 Sep 2026 14:13:20 GMT"


@dataclass
class DownloadFixture:
    """Services over fakes, and a way to store finished files in them."""

    clock: SettableClock = field(default_factory=SettableClock)
    upload_repository: MemoryUploadRepository = field(default_factory=MemoryUploadRepository)
    log: CallLog = field(default_factory=CallLog)
    plan: FaultPlan = field(default_factory=FaultPlan)
    object_store: MemoryObjectStore = field(init=False)

    def __post_init__(self) -> None:
        self.object_store = MemoryObjectStore(self.clock)

    @property
    def services(self) -> Services:
        return Services(
            upload_repository=with_faults(self.upload_repository, self.plan, self.log),
            sequential_repository=MemorySequentialRepository(self.upload_repository.table),
            file_repository=with_faults(MemoryFileRepository(self.upload_repository.table), self.plan, self.log),
            link_repository=lambda: MemoryLinkRepository(self.upload_repository.table),
            cleanup_repository=MemoryCleanupRepository(self.upload_repository.table),
            object_store=with_faults(self.object_store, self.plan, self.log),
            completion_queue=NullCompletionQueue(),
            clock=self.clock,
            upload_idle_timeout_ms=1,
            upload_max_age_ms=1,
            presigned_url_ttl_seconds=900,
        )

    def put_file(self, body: bytes, upload_id: str = "a1", name: str = NAME) -> File:
        stored = self.object_store.put(f"o/{upload_id}", body, crc32c=crc32c(body), content_type="text/html")
        now = self.clock()
        crc = crc32c(body)
        file = File(
            NS, name, upload_id, len(body), stored.etag, crc, "text/html", {}, None, now, now // 1000, now // 1000
        )
        self.upload_repository.rows.files[NS, name] = file
        return file

    def download(self, range_: str | None = None, **conditions: str) -> DownloadResponse:
        return download(self.services, NS, NAME, DownloadRequest(range=range_, conditions=Conditions(**conditions)))


@pytest.fixture
def download_fixture() -> DownloadFixture:
    """A fixture without files."""
    return DownloadFixture()


def test_download_small_file_sent_inline(download_fixture: DownloadFixture) -> None:
    """A small file is sent with every header of the representation, for one read of each backend (RFC 9110 section
    15.3.1).
    """
    file = download_fixture.put_file(SMALL_BODY)
    response = download_fixture.download()
    assert response.kind is ResponseKind.WHOLE
    assert response.body == SMALL_BODY
    assert response.headers == {
        "ETag": file.etag,
        "Last-Modified": MODIFIED,
        "Cache-Control": "private, no-cache, no-transform",
        "Accept-Ranges": "bytes",
        "Content-Type": "text/html",
        "Content-Length": "1024",
        "Content-Disposition": (
            "attachment; filename=\"ein _Stra_e_.html\"; filename*=UTF-8''ein%20%22Stra%C3%9Fe%22.html"
        ),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Repr-Digest": f"crc32c=:{base64.b64encode(crc32c(SMALL_BODY).to_bytes(4, 'big')).decode()}:",
        "Ferry-Size": "1024",
    }
    assert file.etag.startswith('"')
    assert file.etag.endswith('"')
    assert download_fixture.log.methods == ["get_file", "get"]


def test_download_empty_file_skips_store(download_fixture: DownloadFixture) -> None:
    """An empty file is sent without a call to the object store."""
    download_fixture.put_file(b"")
    response = download_fixture.download()
    assert (response.kind, response.body, response.headers["Content-Length"]) == (ResponseKind.WHOLE, b"", "0")
    assert response.headers["Repr-Digest"] == "crc32c=:AAAAAA==:"
    assert download_fixture.log.methods == ["get_file"]


# RFC section, Range, what is sent, Content-Range
RANGE_CASES = [
    ("9110-14.1.2", "bytes=0-0", SMALL_BODY[:1], "bytes 0-0/1024"),
    ("9110-14.1.2", "bytes=1000-", SMALL_BODY[1000:], "bytes 1000-1023/1024"),
    ("9110-14.1.2", "bytes=-24", SMALL_BODY[1000:], "bytes 1000-1023/1024"),
    ("9110-14.1.2", "bytes=10-99999", SMALL_BODY[10:], "bytes 10-1023/1024"),
    ("9110-14.1.2", "bytes=-99999", SMALL_BODY, "bytes 0-1023/1024"),
]


@pytest.mark.parametrize(("section", "range_", "body", "content_range"), RANGE_CASES)
def test_download_range_sends_partial_content(
    download_fixture: DownloadFixture, section: str, range_: str, body: bytes, content_range: str
) -> None:
    """A range is sent with its Content-Range and the headers of the whole file (RFC 9110 section 15.3.7)."""
    download_fixture.put_file(SMALL_BODY)
    whole = download_fixture.download().headers
    response = download_fixture.download(range_)
    assert (response.kind, response.body) == (ResponseKind.PART, body)
    assert response.headers == {**whole, "Content-Length": str(len(body)), "Content-Range": content_range}
    assert download_fixture.log.methods == ["get_file", "get"] * 2


@pytest.mark.parametrize("range_", ["bytes=5-3", "bytes=0-1,5-6", "lines=0-1", "bytes=", "nonsense"])
def test_download_ignored_range_sends_whole_file(download_fixture: DownloadFixture, range_: str) -> None:
    """A malformed range, several ranges and another unit are ignored (RFC 9110 section 14.2)."""
    download_fixture.put_file(SMALL_BODY)
    assert download_fixture.download(range_).kind is ResponseKind.WHOLE


@pytest.mark.parametrize(
    ("size", "range_"),
    [(1024, "bytes=1024-"), (1024, "bytes=-0"), (0, "bytes=0-"), (MAX_BODY_BYTES + 1, "bytes=9999999-")],
)
def test_download_unsatisfiable_range_rejected(download_fixture: DownloadFixture, size: int, range_: str) -> None:
    """A range beyond the end is rejected with the size, without a call to the store (RFC 9110 section 15.5.17)."""
    download_fixture.put_file(bytes(size))
    with pytest.raises(RangeNotSatisfiable) as error:
        download_fixture.download(range_)
    assert error.value.extra["size"] == size
    assert download_fixture.log.methods == ["get_file"]


# file, Range, kind: the limit counts the bytes that are sent, not those of the file
INLINE_LIMIT_CASES = [
    (bytes(MAX_BODY_BYTES), None, ResponseKind.WHOLE),
    (LARGE_BODY, None, ResponseKind.REDIRECT),
    (LARGE_BODY, "bytes=1-", ResponseKind.PART),
    (LARGE_BODY, "bytes=0-", ResponseKind.REDIRECT),
    (LARGE_BODY, f"bytes=0-{MAX_BODY_BYTES - 1}", ResponseKind.PART),
    (LARGE_BODY, f"bytes=0-{MAX_BODY_BYTES}", ResponseKind.REDIRECT),
    (LARGE_BODY, f"bytes=-{MAX_BODY_BYTES}", ResponseKind.PART),
    (LARGE_BODY, "bytes=0-1,3-4", ResponseKind.REDIRECT),
]


@pytest.mark.parametrize(("body", "range_", "kind"), INLINE_LIMIT_CASES)
def test_download_over_inline_limit_redirected(
    download_fixture: DownloadFixture, body: bytes, range_: str | None, kind: ResponseKind
) -> None:
    """Up to 4 MiB are sent inline; a longer range is redirected, never shortened."""
    download_fixture.put_file(body)
    response = download_fixture.download(range_)
    assert response.kind is kind
    assert (response.body is None) is (kind is ResponseKind.REDIRECT)


def test_redirect_followed_has_same_headers(download_fixture: DownloadFixture) -> None:
    """A redirect has no header of the file, is not cacheable and touches no object; S3 then sends the headers of an
    inline response (RFC 9110 section 15.4.8).
    """
    download_fixture.put_file(LARGE_BODY)
    response = download_fixture.download()
    assert response.link is not None
    assert response.link.expires_at == START_MS + 900_000
    assert response.headers == {
        "Location": response.link.url,
        "Cache-Control": "private, no-store",
    }
    assert download_fixture.log.methods == ["get_file"]
    followed = download_fixture.object_store.get_presigned(response.link.url)
    inline = download(download_fixture.services, NS, NAME, DownloadRequest(head=True)).headers
    assert followed.body == LARGE_BODY
    assert followed.headers == {
        "etag": inline["ETag"],
        "last-modified": inline["Last-Modified"],
        "content-type": inline["Content-Type"],
        "content-disposition": inline["Content-Disposition"],
        "cache-control": inline["Cache-Control"],
    }


@pytest.mark.parametrize("body", [b"", SMALL_BODY, LARGE_BODY], ids=["empty", "small", "large"])
def test_download_without_redirect_returns_link(download_fixture: DownloadFixture, body: bytes) -> None:
    """With `redirect=false` a file of any size is a presigned URL, which no cache may store."""
    file = download_fixture.put_file(body)
    response = download(download_fixture.services, NS, NAME, DownloadRequest(redirect=False))
    assert (response.kind, response.file, response.body) == (ResponseKind.LINK, file, None)
    assert response.headers == {"Cache-Control": "private, no-store"}
    assert response.link is not None
    assert download_fixture.object_store.get_presigned(response.link.url).body == body
    assert download_fixture.log.methods == ["get_file"]


@pytest.mark.parametrize("body", [b"", SMALL_BODY, LARGE_BODY], ids=["empty", "small", "large"])
@pytest.mark.parametrize("range_", [None, "bytes=0-1", "bytes=99999999-"])
@pytest.mark.parametrize("redirect", [True, False])
def test_head_any_file_describes_whole_file(
    download_fixture: DownloadFixture, body: bytes, range_: str | None, redirect: bool
) -> None:
    """HEAD returns the headers of the whole file, without a redirect and without a call to the store (RFC 9110 sections
    9.3.2 and 14.2).
    """
    download_fixture.put_file(body)
    response = download(
        download_fixture.services, NS, NAME, DownloadRequest(head=True, range=range_, redirect=redirect)
    )
    assert (response.kind, response.body, response.link) == (ResponseKind.HEADERS, None, None)
    assert response.headers["Content-Length"] == response.headers["Ferry-Size"] == str(len(body))
    assert "Content-Range" not in response.headers
    assert download_fixture.log.methods == ["get_file"]


OTHER_ETAG = '"00000000000000000000000000000000"'
EARLIER = "Mon, 21 Sep 2026 14:13:19 GMT"


@pytest.mark.parametrize("body", [SMALL_BODY, LARGE_BODY], ids=["small", "large"])
@pytest.mark.parametrize("head", [True, False], ids=["HEAD", "GET"])
@pytest.mark.parametrize("range_", [None, "bytes=0-1", "bytes=99999999-"])
def test_if_none_match_same_etag_not_modified(
    download_fixture: DownloadFixture, body: bytes, head: bool, range_: str | None
) -> None:
    """A matching ETag returns validators and type, for one read. Conditions precede the range (RFC 9110, 13.2.2)."""
    file = download_fixture.put_file(body)
    request = DownloadRequest(head=head, range=range_, conditions=Conditions(if_none_match=file.etag))
    response = download(download_fixture.services, NS, NAME, request)
    assert (response.kind, response.body) == (ResponseKind.NOT_MODIFIED, None)
    assert response.headers == {
        "ETag": file.etag,
        "Last-Modified": MODIFIED,
        "Cache-Control": "private, no-cache, no-transform",
        "Content-Type": file.content_type,
    }
    assert download_fixture.log.methods == ["get_file"]


@pytest.mark.parametrize(
    ("section", "conditions", "kind"),
    [
        ("9110-13.1.1", {"if_match": "*"}, ResponseKind.WHOLE),
        ("9110-13.1.2", {"if_none_match": OTHER_ETAG}, ResponseKind.WHOLE),
        ("9110-13.1.3", {"if_modified_since": MODIFIED}, ResponseKind.NOT_MODIFIED),
        ("9110-13.1.3", {"if_modified_since": EARLIER}, ResponseKind.WHOLE),
        ("9110-13.1.4", {"if_unmodified_since": MODIFIED}, ResponseKind.WHOLE),
    ],
)
def test_conditions_hold_file_sent(
    download_fixture: DownloadFixture, section: str, conditions: dict[str, str], kind: ResponseKind
) -> None:
    """A condition that holds sends the file, or 304. Fractions of a second are ignored: HTTP dates have none."""
    download_fixture.clock.advance(999)
    download_fixture.put_file(SMALL_BODY)
    assert download_fixture.download(**conditions).kind is kind


@pytest.mark.parametrize("redirect", [True, False])
@pytest.mark.parametrize("conditions", [Conditions(if_match=OTHER_ETAG), Conditions(if_unmodified_since=EARLIER)])
def test_conditions_fail_precondition_failed(
    download_fixture: DownloadFixture, conditions: Conditions, redirect: bool
) -> None:
    """A condition that fails is rejected before the range is evaluated, without a call to the store (RFC 9110 section
    15.5.13).
    """
    download_fixture.put_file(SMALL_BODY)
    request = DownloadRequest(range="bytes=99999-", conditions=conditions, redirect=redirect)
    with pytest.raises(PreconditionFailed):
        download(download_fixture.services, NS, NAME, request)
    assert download_fixture.log.methods == ["get_file"]


@pytest.mark.parametrize(
    ("section", "if_range", "applies"),
    [
        ("9110-13.1.5", "same", True),
        ("9110-13.1.5", "weak", False),
        ("9110-13.1.5", OTHER_ETAG, False),
        ("9110-13.1.5", MODIFIED, True),
        ("9110-13.1.5", EARLIER, False),
    ],
)
def test_if_range_cases_match_rfc(
    download_fixture: DownloadFixture, section: str, if_range: str, applies: bool
) -> None:
    """The range applies only to the file that the client has a part of; otherwise the whole file is sent."""
    file = download_fixture.put_file(SMALL_BODY)
    value = {"same": file.etag, "weak": "W/" + file.etag}.get(if_range, if_range)
    assert download_fixture.download("bytes=5-9", if_range=value).kind is (
        ResponseKind.PART if applies else ResponseKind.WHOLE
    )
    if applies:
        with pytest.raises(RangeNotSatisfiable):
            download_fixture.download("bytes=5000-", if_range=value)
    else:
        assert download_fixture.download("bytes=5000-", if_range=value).body == SMALL_BODY


def test_if_range_large_file_redirected(download_fixture: DownloadFixture) -> None:
    """A long range is redirected whatever If-Range says, because S3 evaluates it with the same ETag."""
    file = download_fixture.put_file(LARGE_BODY)
    assert download_fixture.download("bytes=0-", if_range=file.etag).kind is ResponseKind.REDIRECT
    assert download_fixture.download("bytes=0-1", if_range=OTHER_ETAG).kind is ResponseKind.REDIRECT


@pytest.mark.parametrize("conditions", [{}, {"if_match": "*"}, {"if_none_match": "*"}])
def test_conditions_without_file_not_found(download_fixture: DownloadFixture, conditions: dict[str, str]) -> None:
    """A missing file stays a 404 under any condition, and so does a file of another namespace (RFC 9110 section
    13.2.1).
    """
    download_fixture.upload_repository.rows.files["other", NAME] = replace(
        download_fixture.put_file(SMALL_BODY), ns="other"
    )
    del download_fixture.upload_repository.rows.files[NS, NAME]
    with pytest.raises(FileNotFound):
        download_fixture.download(**conditions)


def test_download_file_replaced_meanwhile_sends_new(download_fixture: DownloadFixture) -> None:
    """When the object is deleted during the request, the name is read again and the new file is sent."""
    old = download_fixture.put_file(SMALL_BODY, "a1")

    def replace_file() -> None:
        del download_fixture.object_store.objects["o/a1"]
        download_fixture.put_file(b"new bytes", "b2")

    download_fixture.plan.steps = {("get", 1): replace_file}
    response = download_fixture.download("bytes=4-", if_range=old.etag)
    assert (response.kind, response.body) == (ResponseKind.WHOLE, b"new bytes")
    assert download_fixture.log.methods == ["get_file", "get", "get_file", "get"]


def test_download_file_deleted_meanwhile_not_found(download_fixture: DownloadFixture) -> None:
    """When object and file are deleted during the request, the file is not found."""
    download_fixture.put_file(SMALL_BODY)

    def delete_file_and_object() -> None:
        download_fixture.object_store.objects.clear()
        download_fixture.upload_repository.rows.files.clear()

    download_fixture.plan.steps = {("get", 1): delete_file_and_object}
    with pytest.raises(FileNotFound):
        download_fixture.download()


@pytest.mark.parametrize("range_", [None, "bytes=1-2"])
def test_download_object_missing_unavailable(download_fixture: DownloadFixture, range_: str | None) -> None:
    """A file without its object is a failure of the service, reported after two reads."""
    download_fixture.put_file(SMALL_BODY)
    download_fixture.object_store.objects.clear()
    with pytest.raises(BackendUnavailable):
        download_fixture.download(range_)
    assert download_fixture.log.methods == ["get_file", "get"] * 2


@pytest.mark.parametrize("range_", [None, "bytes=0-1020"])
def test_download_wrong_length_unavailable(download_fixture: DownloadFixture, range_: str | None) -> None:
    """An object of another length than the file's is a failure, and none of its bytes are sent."""
    download_fixture.put_file(SMALL_BODY)
    objects = download_fixture.object_store.objects
    objects["o/a1"] = replace(objects["o/a1"], body=objects["o/a1"].body[:1000])
    with pytest.raises(BackendUnavailable):
        download_fixture.download(range_)


@pytest.mark.parametrize("method", ["get_file", "get"])
def test_download_backend_fails_unavailable(download_fixture: DownloadFixture, method: str) -> None:
    """A failed read is 503, not 404."""
    download_fixture.put_file(SMALL_BODY)
    download_fixture.plan.steps = {(method, 1): Fault.UNAVAILABLE}
    with pytest.raises(BackendUnavailable):
        download_fixture.download()
