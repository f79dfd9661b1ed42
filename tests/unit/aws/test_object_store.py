"""The object store's adapter: what is signed, and what it makes of S3's failures."""

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

from ferry.aws.objects import MAX_ABORT_ATTEMPTS, S3ObjectStore
from ferry.errors import BackendUnavailable, Throttled
from ferry.model.objects import StoredPart
from ferry.ports.errors import DeadlineExceeded, MultipartUploadNotFound, PartChanged, StoreChecksumMismatch
from tests.unit.aws.scripted import RecordedSleeps, ScriptedClient, client_error, make_session, repeat


def object_store(client: ScriptedClient, sleeps: RecordedSleeps | None = None) -> S3ObjectStore:
    return S3ObjectStore(cast("Any", client), "bucket", sleep=RecordedSleeps() if sleeps is None else sleeps)


def test_presign_part_signs_length_and_checksum() -> None:
    """Both are signed headers; nothing about a checksum of an empty body is in the URL."""
    signed = S3ObjectStore(make_session().s3, "bucket").presign_part(
        "o/k", "mp", 7, size=123, crc32c=0xDEADBEEF, ttl_seconds=900
    )
    url = urlsplit(signed.url)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (url.scheme, url.netloc, url.path) == ("https", "bucket.s3.amazonaws.com", "/o/k")
    assert query["X-Amz-SignedHeaders"] == "content-length;host;x-amz-checksum-crc32c"
    assert (query["partNumber"], query["uploadId"], query["X-Amz-Expires"]) == ("7", "mp", "900")
    assert not [name for name in query if "checksum" in name.lower()]
    assert signed.headers == {"x-amz-checksum-crc32c": "3q2+7w=="}


def test_presign_part_without_checksum_signs_length() -> None:
    """Then the length alone is signed, and no header need be sent."""
    signed = S3ObjectStore(make_session().s3, "bucket").presign_part(
        "o/k", "mp", 7, size=123, crc32c=None, ttl_seconds=900
    )
    assert parse_qs(urlsplit(signed.url).query)["X-Amz-SignedHeaders"] == ["content-length;host"]
    assert signed.headers == {}


def test_presign_get_uses_public_endpoint() -> None:
    """S3 is asked under one address and signed for under the other, both with the bucket in the path."""
    clients = make_session(s3="http://127.0.0.1:1", s3_public="http://files.example:2")
    objects = S3ObjectStore(clients.s3, "bucket", clients.s3_public)
    url = urlsplit(objects.presign_get("o/k", content_type="a/b", disposition="attachment", ttl_seconds=5))
    assert (url.scheme, url.netloc, url.path) == ("http", "files.example:2", "/bucket/o/k")
    assert clients.s3.meta.endpoint_url == "http://127.0.0.1:1"
    assert make_session(s3="http://127.0.0.1:1").s3_public.meta.endpoint_url == "http://127.0.0.1:1"


def test_abort_repeats_until_upload_is_gone() -> None:
    """A part that landed after the abort is aborted too."""
    pauses = RecordedSleeps()
    client = ScriptedClient({}, {"Parts": []}, {}, {"Parts": []}, {}, client_error("NoSuchUpload"))
    object_store(client, pauses).abort_multipart("o/k", "mp")
    assert client.methods == ["abort_multipart_upload", "list_parts"] * 3
    assert len(pauses) == 2


def test_abort_exceeding_max_attempts_raises() -> None:
    """An upload that will not go is reported."""
    client = ScriptedClient(*repeat({}, 100))
    with pytest.raises(BackendUnavailable):
        object_store(client).abort_multipart("o/k", "mp")
    assert len(client.calls) == 2 * MAX_ABORT_ATTEMPTS


@pytest.mark.parametrize(
    ("code", "meaning"),
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
def test_complete_error_codes_are_mapped(code: str, meaning: type[Exception]) -> None:
    """Each error code has one meaning; what is not expected is the backend's failure."""
    error = client_error(code)
    with pytest.raises(meaning) as raised:
        object_store(ScriptedClient(error)).complete_multipart(
            "o/k", "mp", [StoredPart(1, '"e"', 5, None)], size=5, crc32c=1
        )
    assert raised.value.__cause__ is error


def test_complete_sends_etags_size_and_checksums() -> None:
    """Every part by ETag and CRC32C, where one is known, the size, and the checksum of all of it."""
    client = ScriptedClient({"ETag": '"all-2"', "ChecksumCRC32C": "3q2+7w=="})
    parts = [StoredPart(1, '"a"', 5, 1), StoredPart(2, '"b"', 6, None)]
    made = object_store(client).complete_multipart("o/k", "mp", parts, size=11, crc32c=0xDEADBEEF)
    assert (made.etag, made.size, made.crc32c) == ('"all-2"', 11, 0xDEADBEEF)
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
    """By its code, or by the status alone where there is no body to name one: for every call, cause and all."""
    asked: list[Callable[[S3ObjectStore], object]] = [
        lambda store: store.head("o/k"),
        lambda store: store.get("o/k"),
        lambda store: store.put("o/k", b"", crc32c=0),
        lambda store: store.list_parts("o/k", "mp", max_part_number=1),
        lambda store: store.upload_part("o/k", "mp", 1, b"", crc32c=0),
        lambda store: store.create_multipart("o/k", content_type="text/plain"),
    ]
    for ask in asked:
        with pytest.raises(Throttled) as throttled:
            ask(object_store(ScriptedClient(error)))
        assert throttled.value.__cause__ is error


@pytest.mark.parametrize("code", ["AccessDenied", "403", "SlowDown", "500"])
def test_head_forbidden_raises(code: str) -> None:
    """Only a 404 means that nothing is there."""
    objects = object_store(ScriptedClient(client_error(code), client_error(code)))
    with pytest.raises(BackendUnavailable):
        objects.get("o/k")
    with pytest.raises(BackendUnavailable):
        objects.head("o/k")


def test_get_truncated_body_raises() -> None:
    """Fewer bytes than announced are a failure, not a shorter object; so is a connection that falls silent."""

    class Silent(io.BytesIO):
        def read(self, amount: int | None = -1) -> bytes:
            raise ReadTimeoutError(endpoint_url="http://nowhere.invalid")

    for raw in (io.BytesIO(b"123"), Silent()):
        body = StreamingBody(cast("Any", raw), content_length=5)
        with pytest.raises(BackendUnavailable):
            object_store(ScriptedClient({"Body": body})).get("o/k")


def test_delete_batch_failure_raises() -> None:
    """An object that S3 failed to delete makes the whole a failure, to be asked again."""
    page = {"Contents": [{"Key": "st/1", "Size": 5}], "IsTruncated": False}
    client = ScriptedClient(page, {"Errors": [{"Key": "st/1", "Code": "InternalError"}]})
    with pytest.raises(BackendUnavailable):
        object_store(client).delete_prefix("st/", deadline=10**14)


class PartPages:
    """Lists parts as S3 does: a thousand at most, from a number on. `asked` has the numbers."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self.numbers = list(numbers)
        self.requested_markers: list[int] = []

    def list_parts(self, PartNumberMarker: int = 0, **_: object) -> object:  # noqa: N803 - botocore's name
        self.requested_markers.append(PartNumberMarker)
        page = [number for number in self.numbers if number > PartNumberMarker]
        more = {"IsTruncated": True, "NextPartNumberMarker": page[999]} if len(page) > 1_000 else {}
        modified = datetime(2026, 1, 1, tzinfo=UTC)
        parts = [{"PartNumber": n, "ETag": "e", "Size": 1, "LastModified": modified} for n in page[:1_000]]
        return {"Parts": parts, **more}


@pytest.mark.parametrize(
    ("numbers", "last", "asked"),
    [
        (range(1, 1), 10_000, [0]),
        (range(1, 1_001), 10_000, [0]),
        (range(1, 10_001), 10_000, [n * 1_000 for n in range(10)]),
        (range(2, 10_001, 2), 10_000, [0, *range(2_000, 10_000, 1_000)]),
        ([*range(1, 1_001), 9_999], 9_999, [0, *range(1_000, 9_999, 1_000)]),
        (range(9_000, 10_001), 10_000, [0, 9_999]),
    ],
)
def test_list_parts_fetches_minimum_pages(numbers: range | list[int], last: int, asked: list[int]) -> None:
    """One where a thousand have landed at most; the rest at once, each page from the number where its thousand
    begins.
    """
    pages = PartPages(numbers)
    parts = object_store(cast("Any", pages)).list_parts("o/k", "mp", max_part_number=last)
    assert list(parts) == list(numbers)
    assert sorted(pages.requested_markers) == asked
    assert len(asked) <= max(1, -(-last // 1_000))


def test_list_parts_duplicate_pages_read_to_end() -> None:
    """A page that does not reach the end of its thousand is gone on from where it ends."""

    class Doubling(PartPages):
        def list_parts(self, PartNumberMarker: int = 0, **_: object) -> object:  # noqa: N803
            answer: Any = super().list_parts(PartNumberMarker)
            if len(answer["Parts"]) > 500:
                answer |= {"IsTruncated": True, "NextPartNumberMarker": answer["Parts"][499]["PartNumber"]}
                answer["Parts"] = [part for part in answer["Parts"][:500] for _ in range(2)]
            return answer

    assert list(
        object_store(cast("Any", Doubling(range(1, 2_501)))).list_parts("o/k", "mp", max_part_number=2_500)
    ) == [*range(1, 2_501)]


def test_complete_past_deadline_raises() -> None:
    """S3 goes on with it; what comes of it in the end is nobody's concern here."""
    begun, end = Event(), Event()

    class Slow:
        def complete_multipart_upload(self, **_: object) -> object:
            begun.set()
            end.wait(60)
            return {"ETag": "e"}

    store = object_store(cast("Any", Slow()))
    with pytest.raises(DeadlineExceeded):
        store.complete_multipart("o/k", "mp", [], size=5, crc32c=1, deadline=0)
    assert begun.wait(60)
    end.set()
    assert store.complete_multipart("o/k", "mp", [], size=5, crc32c=1, deadline=10**14).etag == '"e"'


def test_complete_error_before_deadline_is_mapped() -> None:
    """As if it had not been waited for in another thread."""
    error = client_error("InvalidPart")
    with pytest.raises(PartChanged) as raised:
        object_store(ScriptedClient(error)).complete_multipart("o/k", "mp", [], size=5, crc32c=1, deadline=10**14)
    assert raised.value.__cause__ is error
