"""Which bytes, headers or redirect a download gets, and what it costs."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace

import pytest

from ferry.conditions import Conditions
from ferry.digests import crc32c
from ferry.downloads import MAX_INLINE, Answer, DownloadRequest, Kind, download
from ferry.engine import Engine, NoWorker
from ferry.errors import BackendUnavailable, FerryError, FileNotFound, PreconditionFailed, RangeNotSatisfiable
from ferry.model import File
from tests.fakes.clock import START, SettableClock
from tests.fakes.faults import Fault, Log, Script, faulty
from tests.fakes.ledger import MemoryLedger
from tests.fakes.objects import MemoryObjects

NS = "ns"
NAME = 'ein "Straße".html'
SMALL = bytes(range(256)) * 4
LARGE = bytes(MAX_INLINE + 1)
MODIFIED = "Mon, 21 Sep 2026 14:13:20 GMT"


@dataclass
class Shelf:
    """An engine over fakes, and a way to put finished files there."""

    clock: SettableClock = field(default_factory=SettableClock)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    log: Log = field(default_factory=Log)
    script: Script = field(default_factory=Script)
    objects: MemoryObjects = field(init=False)

    def __post_init__(self) -> None:
        self.objects = MemoryObjects(self.clock)

    @property
    def engine(self) -> Engine:
        return Engine(
            ledger=faulty(self.ledger, self.script, self.log),
            objects=faulty(self.objects, self.script, self.log),
            worker=NoWorker(),
            clock=self.clock,
            session_idle=1,
            session_max_age=1,
            url_lifetime=900,
        )

    def put(self, body: bytes, upload_id: str = "a1", name: str = NAME) -> File:
        stored = self.objects.put(f"o/{upload_id}", body, crc32c=crc32c(body), content_type="text/html")
        now = self.clock()
        crc = crc32c(body)
        file = File(NS, name, upload_id, len(body), stored.etag, crc, "text/html", {}, None, now, now // 1000)
        self.ledger.rows.files[NS, name] = file
        return file

    def get(self, range_: str | None = None, **conditions: str) -> Answer:
        return download(self.engine, NS, NAME, DownloadRequest(range=range_, conditions=Conditions(**conditions)))


@pytest.fixture
def shelf() -> Shelf:
    """An empty one."""
    return Shelf()


def test_a_small_file_is_sent_whole(shelf: Shelf) -> None:
    """RFC 9110 section 15.3.1: the bytes, with every header of the representation, for one read of each backend."""
    file = shelf.put(SMALL)
    answer = shelf.get()
    assert answer.kind is Kind.WHOLE
    assert answer.body == SMALL
    assert answer.headers == {
        "ETag": file.etag,
        "Last-Modified": MODIFIED,
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
        "Content-Type": "text/html",
        "Content-Length": "1024",
        "Content-Disposition": (
            "attachment; filename=\"ein _Stra_e_.html\"; filename*=UTF-8''ein%20%22Stra%C3%9Fe%22.html"
        ),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Repr-Digest": f"crc32c=:{base64.b64encode(crc32c(SMALL).to_bytes(4, 'big')).decode()}:",
    }
    assert file.etag.startswith('"')
    assert file.etag.endswith('"')
    assert shelf.log.methods == ["file", "get"]


def test_an_empty_file_needs_no_store(shelf: Shelf) -> None:
    """There is nothing to fetch of it."""
    shelf.put(b"")
    answer = shelf.get()
    assert (answer.kind, answer.body, answer.headers["Content-Length"]) == (Kind.WHOLE, b"", "0")
    assert answer.headers["Repr-Digest"] == "crc32c=:AAAAAA==:"
    assert shelf.log.methods == ["file"]


# RFC section, Range, what is sent, Content-Range
PARTS = [
    ("9110-14.1.2", "bytes=0-0", SMALL[:1], "bytes 0-0/1024"),
    ("9110-14.1.2", "bytes=1000-", SMALL[1000:], "bytes 1000-1023/1024"),
    ("9110-14.1.2", "bytes=-24", SMALL[1000:], "bytes 1000-1023/1024"),
    ("9110-14.1.2", "bytes=10-99999", SMALL[10:], "bytes 10-1023/1024"),
    ("9110-14.1.2", "bytes=-99999", SMALL, "bytes 0-1023/1024"),
]


@pytest.mark.parametrize(("section", "range_", "body", "content_range"), PARTS)
def test_a_range_is_sent(shelf: Shelf, section: str, range_: str, body: bytes, content_range: str) -> None:
    """RFC 9110 section 15.3.7: just these bytes, and otherwise the headers of the whole."""
    shelf.put(SMALL)
    whole = shelf.get().headers
    answer = shelf.get(range_)
    assert (answer.kind, answer.body) == (Kind.PART, body)
    assert answer.headers == {**whole, "Content-Length": str(len(body)), "Content-Range": content_range}
    assert shelf.log.methods == ["file", "get"] * 2


@pytest.mark.parametrize("range_", ["bytes=5-3", "bytes=0-1,5-6", "lines=0-1", "bytes=", "nonsense"])
def test_an_ignored_range_brings_the_whole(shelf: Shelf, range_: str) -> None:
    """RFC 9110 section 14.2: malformed, several, another unit."""
    shelf.put(SMALL)
    assert shelf.get(range_).kind is Kind.WHOLE


@pytest.mark.parametrize(
    ("size", "range_"), [(1024, "bytes=1024-"), (1024, "bytes=-0"), (0, "bytes=0-"), (MAX_INLINE + 1, "bytes=9999999-")]
)
def test_an_unsatisfiable_range_is_refused(shelf: Shelf, size: int, range_: str) -> None:
    """RFC 9110 section 15.5.17: with the size, and without a call to the store."""
    shelf.put(bytes(size))
    with pytest.raises(RangeNotSatisfiable) as refused:
        shelf.get(range_)
    assert refused.value.extra["size"] == size
    assert shelf.log.methods == ["file"]


# file, Range, kind: the limit counts the bytes that are sent, not those of the file
LIMITS = [
    (bytes(MAX_INLINE), None, Kind.WHOLE),
    (LARGE, None, Kind.REDIRECT),
    (LARGE, "bytes=1-", Kind.PART),
    (LARGE, "bytes=0-", Kind.REDIRECT),
    (LARGE, f"bytes=0-{MAX_INLINE - 1}", Kind.PART),
    (LARGE, f"bytes=0-{MAX_INLINE}", Kind.REDIRECT),
    (LARGE, f"bytes=-{MAX_INLINE}", Kind.PART),
    (LARGE, "bytes=0-1,3-4", Kind.REDIRECT),
]


@pytest.mark.parametrize(("body", "range_", "kind"), LIMITS)
def test_what_fits_is_sent_and_the_rest_redirected(shelf: Shelf, body: bytes, range_: str | None, kind: Kind) -> None:
    """4 MiB go inline; a longer range is redirected, never cut short."""
    shelf.put(body)
    answer = shelf.get(range_)
    assert answer.kind is kind
    assert (answer.body is None) is (kind is Kind.REDIRECT)


def test_a_redirect_leads_to_the_same_headers(shelf: Shelf) -> None:
    """RFC 9110 section 15.4.8: not to be cached, no object touched; the store then says what an inline answer would."""
    file = shelf.put(LARGE)
    answer = shelf.get()
    assert answer.link is not None
    assert answer.link.expires_at == START + 900_000
    assert answer.headers == {
        "ETag": file.etag,
        "Last-Modified": MODIFIED,
        "Accept-Ranges": "bytes",
        "Repr-Digest": f"crc32c=:{base64.b64encode(crc32c(LARGE).to_bytes(4, 'big')).decode()}:",
        "Location": answer.link.url,
        "Cache-Control": "private, no-store",
    }
    assert shelf.log.methods == ["file"]
    followed = shelf.objects.get_presigned(answer.link.url)
    inline = download(shelf.engine, NS, NAME, DownloadRequest(head=True)).headers
    assert followed.body == LARGE
    assert followed.headers == {
        "etag": inline["ETag"],
        "last-modified": inline["Last-Modified"],
        "content-type": inline["Content-Type"],
        "content-disposition": inline["Content-Disposition"],
    }


@pytest.mark.parametrize("body", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
def test_a_url_may_be_told_instead(shelf: Shelf, body: bytes) -> None:
    """Asked not to redirect, it tells a URL whatever the size, not to be cached."""
    file = shelf.put(body)
    answer = download(shelf.engine, NS, NAME, DownloadRequest(redirect=False))
    assert (answer.kind, answer.file, answer.body) == (Kind.DESCRIBED, file, None)
    assert answer.headers == {"Cache-Control": "private, no-store"}
    assert answer.link is not None
    assert shelf.objects.get_presigned(answer.link.url).body == body
    assert shelf.log.methods == ["file"]


@pytest.mark.parametrize("body", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("range_", [None, "bytes=0-1", "bytes=99999999-"])
@pytest.mark.parametrize("redirect", [True, False])
def test_head_tells_of_the_whole_file(shelf: Shelf, body: bytes, range_: str | None, redirect: bool) -> None:
    """RFC 9110 sections 9.3.2 and 14.2: no redirect, no range, no body, no call to the store."""
    shelf.put(body)
    answer = download(shelf.engine, NS, NAME, DownloadRequest(head=True, range=range_, redirect=redirect))
    assert (answer.kind, answer.body, answer.link) == (Kind.HEADERS, None, None)
    assert answer.headers["Content-Length"] == str(len(body))
    assert "Content-Range" not in answer.headers
    assert shelf.log.methods == ["file"]


OTHER = '"00000000000000000000000000000000"'
EARLIER = "Mon, 21 Sep 2026 14:13:19 GMT"


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("head", [True, False], ids=["HEAD", "GET"])
@pytest.mark.parametrize("range_", [None, "bytes=0-1", "bytes=99999999-"])
def test_not_modified(shelf: Shelf, body: bytes, head: bool, range_: str | None) -> None:
    """RFC 9110 section 15.4.5: the validators alone, for one read; a condition comes before the range (13.2.2)."""
    file = shelf.put(body)
    request = DownloadRequest(head=head, range=range_, conditions=Conditions(if_none_match=file.etag))
    answer = download(shelf.engine, NS, NAME, request)
    assert (answer.kind, answer.body) == (Kind.NOT_MODIFIED, None)
    assert answer.headers == {"ETag": file.etag, "Last-Modified": MODIFIED, "Cache-Control": "private, no-cache"}
    assert shelf.log.methods == ["file"]


@pytest.mark.parametrize(
    ("section", "conditions", "kind"),
    [
        ("9110-13.1.1", {"if_match": "*"}, Kind.WHOLE),
        ("9110-13.1.2", {"if_none_match": OTHER}, Kind.WHOLE),
        ("9110-13.1.3", {"if_modified_since": MODIFIED}, Kind.NOT_MODIFIED),
        ("9110-13.1.3", {"if_modified_since": EARLIER}, Kind.WHOLE),
        ("9110-13.1.4", {"if_unmodified_since": MODIFIED}, Kind.WHOLE),
    ],
)
def test_conditions_that_hold(shelf: Shelf, section: str, conditions: dict[str, str], kind: Kind) -> None:
    """The file, or not modified. Parts of a second do not count: HTTP dates have none."""
    shelf.clock.advance(999)
    shelf.put(SMALL)
    assert shelf.get(**conditions).kind is kind


@pytest.mark.parametrize("redirect", [True, False])
@pytest.mark.parametrize("conditions", [Conditions(if_match=OTHER), Conditions(if_unmodified_since=EARLIER)])
def test_conditions_that_fail(shelf: Shelf, conditions: Conditions, redirect: bool) -> None:
    """RFC 9110 section 15.5.13, before the range is looked at and without a call to the store."""
    shelf.put(SMALL)
    request = DownloadRequest(range="bytes=99999-", conditions=conditions, redirect=redirect)
    with pytest.raises(PreconditionFailed):
        download(shelf.engine, NS, NAME, request)
    assert shelf.log.methods == ["file"]


@pytest.mark.parametrize(
    ("section", "if_range", "applies"),
    [
        ("9110-13.1.5", "same", True),
        ("9110-13.1.5", "weak", False),
        ("9110-13.1.5", OTHER, False),
        ("9110-13.1.5", MODIFIED, True),
        ("9110-13.1.5", EARLIER, False),
    ],
)
def test_if_range(shelf: Shelf, section: str, if_range: str, applies: bool) -> None:
    """The range counts only on the file that the client has the rest of; otherwise the whole is sent, never a 416."""
    file = shelf.put(SMALL)
    value = {"same": file.etag, "weak": "W/" + file.etag}.get(if_range, if_range)
    assert shelf.get("bytes=5-9", if_range=value).kind is (Kind.PART if applies else Kind.WHOLE)
    if applies:
        with pytest.raises(RangeNotSatisfiable):
            shelf.get("bytes=5000-", if_range=value)
    else:
        assert shelf.get("bytes=5000-", if_range=value).body == SMALL


def test_if_range_across_the_redirect(shelf: Shelf) -> None:
    """A long range is redirected with the file's tag and with another: the store decides by the same tag."""
    file = shelf.put(LARGE)
    assert shelf.get("bytes=0-", if_range=file.etag).kind is Kind.REDIRECT
    assert shelf.get("bytes=0-1", if_range=OTHER).kind is Kind.REDIRECT


@pytest.mark.parametrize("conditions", [{}, {"if_match": "*"}, {"if_none_match": "*"}])
def test_no_file_no_conditions(shelf: Shelf, conditions: dict[str, str]) -> None:
    """RFC 9110 section 13.2.1: what is a 404 without conditions stays one. So is another namespace's file."""
    shelf.ledger.rows.files["other", NAME] = replace(shelf.put(SMALL), ns="other")
    del shelf.ledger.rows.files[NS, NAME]
    with pytest.raises(FileNotFound):
        shelf.get(**conditions)


def test_a_file_replaced_under_way(shelf: Shelf) -> None:
    """Its object gone, the name is looked up once more, and everything is decided by the file that is there now."""
    old = shelf.put(SMALL, "a1")

    def replaced() -> None:
        del shelf.objects.objects["o/a1"]
        shelf.put(b"new bytes", "b2")

    shelf.script.steps = {("get", 1): replaced}
    answer = shelf.get("bytes=4-", if_range=old.etag)
    assert (answer.kind, answer.body) == (Kind.WHOLE, b"new bytes")
    assert shelf.log.methods == ["file", "get", "file", "get"]


def test_a_file_deleted_under_way(shelf: Shelf) -> None:
    """Its object and its row gone, it is not found."""
    shelf.put(SMALL)

    def deleted() -> None:
        shelf.objects.objects.clear()
        shelf.ledger.rows.files.clear()

    shelf.script.steps = {("get", 1): deleted}
    with pytest.raises(FileNotFound):
        shelf.get()


@pytest.mark.parametrize("range_", [None, "bytes=1-2"])
def test_a_lost_object_is_no_empty_file(shelf: Shelf, range_: str | None) -> None:
    """A row without its object is the service's failure, told after a bounded number of calls."""
    shelf.put(SMALL)
    shelf.objects.objects.clear()
    with pytest.raises(BackendUnavailable):
        shelf.get(range_)
    assert shelf.log.methods == ["file", "get"] * 2


@pytest.mark.parametrize("range_", [None, "bytes=0-1020"])
def test_bytes_are_never_fewer(shelf: Shelf, range_: str | None) -> None:
    """Should the store send another number of bytes, nothing of them is passed on."""
    shelf.put(SMALL)
    stored = shelf.objects.objects["o/a1"]
    shelf.objects.objects["o/a1"] = replace(stored, body=stored.body[:1000])
    with pytest.raises(BackendUnavailable):
        shelf.get(range_)


@pytest.mark.parametrize("method", ["file", "get"])
def test_a_failing_backend_is_told(shelf: Shelf, method: str) -> None:
    """A failed read is no 404."""
    shelf.put(SMALL)
    shelf.script.steps = {(method, 1): Fault.UNAVAILABLE}
    with pytest.raises(FerryError) as failed:
        shelf.get()
    assert failed.value.code == "backend_unavailable"
