"""The S3 object store: presigned URLs, pages and errors."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from threading import Event
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody

from dev.fakes.clock import START_MS
from ferry.aws.objects import MAX_ABORT_ATTEMPTS, S3ObjectStore
from ferry.errors import BackendUnavailable, Throttled
from ferry.model.objects import StoredPart
from ferry.ports.errors import DeadlineExceeded, MultipartUploadNotFound, PartChanged, StoreChecksumMismatch
from tests.unit.aws.scripted import RecordedSleeps, ScriptedClient, client_error, make_session, repeat


def object_store(client: ScriptedClient, sleeps: RecordedSleeps | None = None) -> S3ObjectStore:
    return S3ObjectStore(cast("Any", client), "bucket", sleep=RecordedSleeps() if sleeps is None else sleeps)


@pytest.mark.parametrize("storage_class", ["", "STANDARD", "INTELLIGENT_TIERING"])
def test_storage_class_is_that_of_files_alone(storage_class: str) -> None:
    """Multipart uploads and whole files get the storage class, if it is another than S3's default; chunks do not."""
    client = ScriptedClient({"UploadId": "m"}, {"ETag": '"e"'}, {"ETag": '"e"'})
    store = S3ObjectStore(cast("Any", client), "bucket", storage_class=storage_class)
    store.create_multipart("o/a", content_type="text/plain")
    store.put("o/b", b"x", crc32c=1)
    store.put("st/a/1/1-00", b"x", crc32c=1)
    expected = "INTELLIGENT_TIERING" if storage_class == "INTELLIGENT_TIERING" else None
    assert [params.get("StorageClass") for _, params in client.calls] == [expected, expected, None]


def test_presign_part_signs_length_and_checksum() -> None:
    """Length and checksum are signed headers; the URL has no checksum of an empty body."""
    presigned = S3ObjectStore(make_session().s3, "bucket").presign_part(
        "o/k", "mp", 7, size=123, crc32c=0xDEADBEEF, ttl_seconds=900
    )
    url = urlsplit(presigned.url)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (url.scheme, url.netloc, url.path) == ("https", "bucket.s3.amazonaws.com", "/o/k")
    assert query["X-Amz-SignedHeaders"] == "content-length;host;x-amz-checksum-crc32c"
    assert (query["partNumber"], query["uploadId"], query["X-Amz-Expires"]) == ("7", "mp", "900")
    assert not [name for name in query if "checksum" in name.lower()]
    assert presigned.headers == {"x-amz-checksum-crc32c": "3q2+7w=="}


def test_presign_part_without_checksum_signs_length() -> None:
    """Without a checksum only the length is signed, and no header is required."""
    presigned = S3ObjectStore(make_session().s3, "bucket").presign_part(
        "o/k", "mp", 7, size=123, crc32c=None, ttl_seconds=900
    )
    assert parse_qs(urlsplit(presigned.url).query)["X-Amz-SignedHeaders"] == ["content-length;host"]
    assert presigned.headers == {}


def test_presign_get_uses_public_endpoint() -> None:
    """Calls go to one address and presigned URLs name the other, both with the bucket in the path."""
    session = make_session(s3="http://127.0.0.1:1", s3_public="http://files.example:2")
    objects = S3ObjectStore(session.s3, "bucket", session.s3_public)
    presigned = objects.presign_get("o/k", content_type="a/b", disposition="attachment", ttl_seconds=5)
    url = urlsplit(presigned.url)
    assert (url.scheme, url.netloc, url.path) == ("http", "files.example:2", "/bucket/o/k")
    assert session.s3.meta.endpoint_url == "http://127.0.0.1:1"
    assert make_session(s3="http://127.0.0.1:1").s3_public.meta.endpoint_url == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("remaining_ms", "lifetime_seconds"),
    [(None, 900), (3_600_000, 900), (900_999, 900), (613_500, 614), (400, 1), (-1, 1)],
)
def test_presign_ends_with_credentials(remaining_ms: int | None, lifetime_seconds: int) -> None:
    """No URL outlives the credentials that sign it, and its expiry counts from the second of its signature."""
    now = START_MS + 777
    objects = S3ObjectStore(
        make_session().s3,
        "bucket",
        clock=lambda: now,
        credentials_expire_at=lambda: None if remaining_ms is None else now + remaining_ms,
    )
    for presigned in (
        objects.presign_get("o/k", content_type="a/b", disposition="attachment", ttl_seconds=900),
        objects.presign_part("o/k", "mp", 7, size=123, crc32c=None, ttl_seconds=900),
    ):
        assert parse_qs(urlsplit(presigned.url).query)["X-Amz-Expires"] == [str(lifetime_seconds)]
        assert presigned.expires_at == START_MS + lifetime_seconds * 1_000


def test_abort_repeats_until_upload_is_gone() -> None:
    """A part that lands after an abort is aborted too."""
    sleeps = RecordedSleeps()
    client = ScriptedClient({}, {"Parts": []}, {}, {"Parts": []}, {}, client_error("NoSuchUpload"))
    object_store(client, sleeps).abort_multipart("o/k", "mp")
    assert client.methods == ["abort_multipart_upload", "list_parts"] * 3
    assert len(sleeps) == 2


def test_abort_exceeding_max_attempts_raises() -> None:
    """A multipart upload that does not end raises."""
    client = ScriptedClient(*repeat({}, 100))
    with pytest.raises(BackendUnavailable):
        object_store(client).abort_multipart("o/k", "mp")
    assert len(client.calls) == 2 * MAX_ABORT_ATTEMPTS


@pytest.mark.parametrize(
    ("code", "error_type"),
    [
        ("NoSuchUpload", MultipartUploadNotFound),
        ("InvalidPart", PartChanged),
        ("BadDigest", StoreChecksumMismatch),
        ("InvalidPartOrder", BackendUnavailable),
        ("EntityTooSmall", BackendUnavailable),
        ("InvalidRequest", BackendUnavailable),
        ("InternalError", BackendUnavailable),
        ("SlowDown", Throttled),
        ("ServiceUnavailable", Throttled),
    ],
)
def test_complete_error_codes_are_mapped(code: str, error_type: type[Exception]) -> None:
    """Each expected error code has its exception; any other is the backend's failure."""
    error = client_error(code)
    with pytest.raises(error_type) as raised:
        object_store(ScriptedClient(error)).complete_multipart(
            "o/k", "mp", [StoredPart(1, '"e"', 5, None)], size=5, crc32c=1
        )
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.complete_multipart("o/k", "m", [], size=0, crc32c=None),
        lambda store: store.upload_part("o/k", "m", 1, b"", crc32c=0),
        lambda store: store.copy_part("o/k", "m", 1, "o/s", first=0, last=0),
        lambda store: store.put("o/k", b"", crc32c=0),
    ],
    ids=["complete", "part", "copied part", "object"],
)
def test_empty_response_to_a_write_raises(call: Callable[[S3ObjectStore], object]) -> None:
    """A response of status 200 that was cut off says nothing: the write may have taken effect or not."""
    with pytest.raises(BackendUnavailable):
        call(object_store(ScriptedClient({})))


def test_complete_sends_etags_size_and_checksums() -> None:
    """A completion sends each part's ETag and known CRC32C, and size and CRC32C of the object."""
    client = ScriptedClient({"ETag": '"all-2"', "ChecksumCRC32C": "3q2+7w=="})
    parts = [StoredPart(1, '"a"', 5, 1), StoredPart(2, '"b"', 6, None)]
    stored = object_store(client).complete_multipart("o/k", "mp", parts, size=11, crc32c=0xDEADBEEF)
    assert (stored.etag, stored.size, stored.crc32c) == ('"all-2"', 11, 0xDEADBEEF)
    assert client.calls[0][1] == {
        "Bucket": "bucket",
        "Key": "o/k",
        "UploadId": "mp",
        "MultipartUpload": {
            "Parts": [
                {"PartNumber": 1, "ETag": '"a"', "ChecksumCRC32C": "AAAAAQ=="},
                {"PartNumber": 2, "ETag": '"b"'},
            ]
        },
        "ChecksumType": "FULL_OBJECT",
        "ChecksumCRC32C": "3q2+7w==",
        "MpuObjectSize": 11,
    }


@pytest.mark.parametrize(
    "error",
    [client_error("SlowDown"), client_error("503"), client_error("Odd", ResponseMetadata={"HTTPStatusCode": 503})],
)
def test_throttled_store_raises_throttled(error: Exception) -> None:
    """Throttling is recognized by code or status, in every call, and keeps its cause."""
    operations: list[Callable[[S3ObjectStore], object]] = [
        lambda store: store.head("o/k"),
        lambda store: store.get("o/k"),
        lambda store: store.put("o/k", b"", crc32c=0),
        lambda store: store.list_parts("o/k", "mp", max_part_number=1),
        lambda store: store.upload_part("o/k", "mp", 1, b"", crc32c=0),
        lambda store: store.create_multipart("o/k", content_type="text/plain"),
    ]
    for operation in operations:
        with pytest.raises(Throttled) as throttled:
            operation(object_store(ScriptedClient(error)))
        assert throttled.value.__cause__ is error


@pytest.mark.parametrize("code", ["AccessDenied", "403", "SlowDown", "500"])
def test_head_forbidden_raises(code: str) -> None:
    """Only a 404 means that there is no object."""
    objects = object_store(ScriptedClient(client_error(code), client_error(code)))
    with pytest.raises(BackendUnavailable):
        objects.get("o/k")
    with pytest.raises(BackendUnavailable):
        objects.head("o/k")


def test_get_truncated_body_raises() -> None:
    """A body with fewer bytes than announced raises, and so does a read timeout."""

    class Silent(io.BytesIO):
        def read(self, amount: int | None = -1) -> bytes:
            raise ReadTimeoutError(endpoint_url="http://nowhere.invalid")

    for raw in (io.BytesIO(b"123"), Silent()):
        body = StreamingBody(cast("Any", raw), content_length=5)
        with pytest.raises(BackendUnavailable):
            object_store(ScriptedClient({"Body": body})).get("o/k")


def test_delete_batch_failure_raises() -> None:
    """An object that S3 could not delete raises."""
    page = {"Contents": [{"Key": "st/1", "Size": 5}], "IsTruncated": False}
    client = ScriptedClient(page, {"Errors": [{"Key": "st/1", "Code": "InternalError"}]})
    with pytest.raises(BackendUnavailable):
        object_store(client).delete_prefix("st/", deadline=10**14)


class PartPages:
    """A client that lists parts as S3 does, up to 1,000 after a marker."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self.numbers = list(numbers)
        self.requested_markers: list[int] = []
        """The marker of each call."""

    def list_parts(self, PartNumberMarker: int = 0, **_: object) -> object:  # noqa: N803 - botocore's name
        self.requested_markers.append(PartNumberMarker)
        page = [number for number in self.numbers if number > PartNumberMarker]
        more = {"IsTruncated": True, "NextPartNumberMarker": page[999]} if len(page) > 1_000 else {}
        modified = datetime(2026, 1, 1, tzinfo=UTC)
        parts = [{"PartNumber": n, "ETag": "e", "Size": 1, "LastModified": modified} for n in page[:1_000]]
        return {"Parts": parts, **more}


@pytest.mark.parametrize(
    ("numbers", "last", "markers"),
    [
        (range(1, 1), 10_000, [0]),
        (range(1, 1_001), 10_000, [0]),
        (range(1, 10_001), 10_000, [n * 1_000 for n in range(10)]),
        (range(2, 10_001, 2), 10_000, [0, *range(2_000, 10_000, 1_000)]),
        ([*range(1, 1_001), 9_999], 9_999, [0, *range(1_000, 9_999, 1_000)]),
        (range(9_000, 10_001), 10_000, [0, 9_999]),
    ],
)
def test_list_parts_fetches_minimum_pages(numbers: range | list[int], last: int, markers: list[int]) -> None:
    """Up to 1,000 parts need one page; for the rest there is one page for each 1,000 numbers."""
    pages = PartPages(numbers)
    parts = object_store(cast("Any", pages)).list_parts("o/k", "mp", max_part_number=last)
    assert list(parts) == list(numbers)
    assert sorted(pages.requested_markers) == markers
    assert len(markers) <= max(1, -(-last // 1_000))


def test_list_parts_duplicate_pages_read_to_end() -> None:
    """A page that ends before its 1,000 numbers is continued."""

    class Doubling(PartPages):
        def list_parts(self, PartNumberMarker: int = 0, **_: object) -> object:  # noqa: N803
            response: Any = super().list_parts(PartNumberMarker)
            if len(response["Parts"]) > 500:
                response |= {"IsTruncated": True, "NextPartNumberMarker": response["Parts"][499]["PartNumber"]}
                response["Parts"] = [part for part in response["Parts"][:500] for _ in range(2)]
            return response

    assert list(
        object_store(cast("Any", Doubling(range(1, 2_501)))).list_parts("o/k", "mp", max_part_number=2_500)
    ) == [*range(1, 2_501)]


def test_complete_past_deadline_raises() -> None:
    """At the deadline the call is abandoned while S3 continues."""
    started, may_end = Event(), Event()

    class Slow:
        def complete_multipart_upload(self, **_: object) -> object:
            started.set()
            may_end.wait(60)
            return {"ETag": "e"}

    store = object_store(cast("Any", Slow()))
    with pytest.raises(DeadlineExceeded):
        store.complete_multipart("o/k", "mp", [], size=5, crc32c=1, deadline=0)
    assert started.wait(60)
    may_end.set()
    assert store.complete_multipart("o/k", "mp", [], size=5, crc32c=1, deadline=10**14).etag == '"e"'


def test_complete_error_before_deadline_is_mapped() -> None:
    """An error in the thread of a call with a deadline is raised like any other."""
    error = client_error("InvalidPart")
    with pytest.raises(PartChanged) as raised:
        object_store(ScriptedClient(error)).complete_multipart("o/k", "mp", [], size=5, crc32c=1, deadline=10**14)
    assert raised.value.__cause__ is error
