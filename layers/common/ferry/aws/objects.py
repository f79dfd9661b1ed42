"""The object store in S3: multipart uploads with CRC32C over the whole object, and presigned URLs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ferry.aws import object_listings
from ferry.aws.clock import wall_clock
from ferry.aws.errors import error_code, map_errors
from ferry.errors import BackendUnavailable
from ferry.model.objects import ObjectSummary, StoredObject, StoredPart
from ferry.ports.errors import DeadlineExceeded, MultipartUploadNotFound, PartChanged, StoreChecksumMismatch
from ferry.ports.object_store import DeleteResult, PresignedRequest
from ferry.ports.types import Clock, Page
from ferry.rules.digests import crc32c_from_base64, crc32c_to_base64

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_ABORT_ATTEMPTS = 8
PARTS_PER_PAGE = 1_000
INITIAL_BACKOFF_SECONDS = 0.05
_NO_SUCH_UPLOAD = "NoSuchUpload"
_NOT_FOUND_CODES = ("NoSuchKey", "NotFound", "404")  # HEAD has no body to name a code in
_COMPLETE_ERRORS: Mapping[str, type[Exception]] = {
    _NO_SUCH_UPLOAD: MultipartUploadNotFound,
    "InvalidPart": PartChanged,
    "BadDigest": StoreChecksumMismatch,
}


class S3ObjectStore:
    """`ferry.ports.object_store.ObjectStore` over one bucket. All methods raise `BackendUnavailable` when S3 fails.

    Args:
        client: makes the calls.
        public: signs URLs, for the address under which clients reach the bucket.
        clock: for `delete_prefix`'s deadline.
        pause: sleeps, in seconds, between two looks at an upload that is being aborted.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        public_client: S3Client | None = None,
        *,
        clock: Clock = wall_clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._public_client = public_client or client
        self._bucket = bucket
        self._clock = clock
        self._sleep = sleep

    # Multipart uploads

    def create_multipart(self, key: str, *, content_type: str) -> str:
        answer = self._call(
            self._client.create_multipart_upload,
            Key=key,
            ContentType=content_type,
            ChecksumAlgorithm="CRC32C",
            ChecksumType="FULL_OBJECT",
        )
        return str(answer["UploadId"])

    def upload_part(self, key: str, multipart_id: str, number: int, body: bytes, *, crc32c: int) -> StoredPart:
        answer = self._call(
            self._client.upload_part,
            {_NO_SUCH_UPLOAD: MultipartUploadNotFound},
            Key=key,
            UploadId=multipart_id,
            PartNumber=number,
            Body=body,
            ChecksumCRC32C=crc32c_to_base64(crc32c),
        )
        return StoredPart(number, _etag(answer), len(body), crc32c)

    def list_parts(self, key: str, multipart_id: str, *, max_part_number: int) -> Mapping[int, StoredPart]:
        parts, listed_to = self.list_parts_page(key, multipart_id, 0)
        if listed_to is not None and listed_to < max_part_number:
            from concurrent.futures import ThreadPoolExecutor

            # A thousand numbers have at most a thousand parts: from each thousand's beginning one page covers it,
            # whatever is missing there, so nobody need wait for the page before.
            starts = range(listed_to, max_part_number, PARTS_PER_PAGE)
            with ThreadPoolExecutor(len(starts)) as pool:
                for found in pool.map(lambda after: self._list_parts_range(key, multipart_id, after), starts):
                    parts |= found
        return {number: parts[number] for number in sorted(parts) if number <= max_part_number}

    def list_parts_page(
        self, key: str, multipart_id: str, after_part_number: int
    ) -> tuple[dict[int, StoredPart], int | None]:
        answer = self._call(
            self._client.list_parts,
            {_NO_SUCH_UPLOAD: MultipartUploadNotFound},
            Key=key,
            UploadId=multipart_id,
            **({"PartNumberMarker": after_part_number} if after_part_number else {}),
        )
        parts: dict[int, StoredPart] = {}
        # S3 lists a part once. SeaweedFS also lists those it has replaced, by ETag: the youngest is what counts.
        for part in sorted(answer.get("Parts", []), key=lambda part: part["LastModified"]):
            number = int(part["PartNumber"])
            parts[number] = StoredPart(number, _etag(part), int(part["Size"]), _crc(part))
        return parts, int(answer["NextPartNumberMarker"]) if answer.get("IsTruncated") else None

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
        """Also raises `BackendUnavailable` for what a correct plan never asks: gaps, parts that are too small."""
        whole = {} if crc32c is None else {"ChecksumCRC32C": crc32c_to_base64(crc32c)}
        call = partial(
            self._call,
            self._client.complete_multipart_upload,
            _COMPLETE_ERRORS,
            Key=key,
            UploadId=multipart_id,
            MultipartUpload={"Parts": [_completed_part(part) for part in parts]},
            ChecksumType="FULL_OBJECT",
            MpuObjectSize=size,
            **whole,
        )
        answer = call() if deadline is None else self._call_until(deadline, call)
        found = _crc(answer)
        return StoredObject(_etag(answer), size, crc32c if found is None else found)

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        """Two calls, and two more for each part that lands late; `BackendUnavailable` if it never ends."""
        for attempt in range(MAX_ABORT_ATTEMPTS):
            try:
                self._call(
                    self._client.abort_multipart_upload,
                    {_NO_SUCH_UPLOAD: MultipartUploadNotFound},
                    Key=key,
                    UploadId=multipart_id,
                )
                self._call(
                    self._client.list_parts,
                    {_NO_SUCH_UPLOAD: MultipartUploadNotFound},
                    Key=key,
                    UploadId=multipart_id,
                    MaxParts=1,
                )
            except MultipartUploadNotFound:
                return
            self._sleep(INITIAL_BACKOFF_SECONDS * 2**attempt)
        raise BackendUnavailable

    def list_multipart_uploads(self, cursor: str | None, limit: int, key: str = "") -> Page[tuple[str, str, int]]:
        return object_listings.list_multipart_uploads(self._client, self._call, cursor, limit, key)

    # Whole objects

    def put(
        self, key: str, body: bytes, *, crc32c: int, content_type: str = "application/octet-stream"
    ) -> StoredObject:
        answer = self._call(
            self._client.put_object,
            Key=key,
            Body=body,
            ContentType=content_type,
            ChecksumCRC32C=crc32c_to_base64(crc32c),
        )
        return StoredObject(_etag(answer), len(body), crc32c)

    def get(self, key: str, first: int | None = None, last: int | None = None) -> bytes | None:
        wanted: dict[str, Any] = {}
        if first is not None or last is not None:
            wanted["Range"] = f"bytes={first or 0}-{'' if last is None else last}"
        try:
            with map_errors(*_NOT_FOUND_CODES):
                answer = self._client.get_object(Bucket=self._bucket, Key=key, **wanted)
                # Not `with body`: that hands out the raw stream, which takes a body that broke off for a whole one.
                with closing(answer["Body"]) as body:
                    return body.read()
        except ClientError:
            return None

    def head(self, key: str) -> StoredObject | None:
        try:
            with map_errors(*_NOT_FOUND_CODES):
                answer: Any = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError:
            return None
        modified = int(answer["LastModified"].timestamp())
        return StoredObject(_etag(answer), int(answer["ContentLength"]), _crc(answer), modified)

    def delete(self, key: str) -> None:
        self._call(self._client.delete_object, Key=key)

    def delete_prefix(self, prefix: str, *, deadline: int) -> DeleteResult:
        size = 0
        while self._clock() < deadline:
            # Always the first page: what it named is gone by the next look.
            answer = self._call(self._client.list_objects_v2, Prefix=prefix)
            found = answer.get("Contents", [])
            if found:
                doomed = {"Objects": [{"Key": entry["Key"]} for entry in found], "Quiet": True}
                refused = self._call(self._client.delete_objects, Delete=doomed).get("Errors", [])
                if refused:
                    raise BackendUnavailable
            size += sum(int(entry["Size"]) for entry in found)
            if not answer.get("IsTruncated"):
                return DeleteResult(size, done=True)
        return DeleteResult(size, done=False)

    def list_objects(self, prefix: str, cursor: str | None, limit: int) -> Page[ObjectSummary]:
        return object_listings.list_objects(self._client, self._call, prefix, cursor, limit)

    def list_prefixes(self, prefix: str, cursor: str | None, limit: int) -> Page[str]:
        return object_listings.list_prefixes(self._client, self._call, prefix, cursor, limit)

    # Presigned URLs

    def presign_part(
        self, key: str, multipart_id: str, number: int, *, size: int, crc32c: int | None, ttl_seconds: int
    ) -> PresignedRequest:
        """The length is signed too; it is not among the headers, for every client sends it by itself."""
        headers = {} if crc32c is None else {"x-amz-checksum-crc32c": crc32c_to_base64(crc32c)}
        params: dict[str, Any] = {"Key": key, "UploadId": multipart_id, "PartNumber": number, "ContentLength": size}
        if crc32c is not None:
            params["ChecksumCRC32C"] = crc32c_to_base64(crc32c)
        return PresignedRequest(self._presign("upload_part", params, ttl_seconds), headers)

    def presign_get(self, key: str, *, content_type: str, disposition: str, ttl_seconds: int) -> str:
        params = {"Key": key, "ResponseContentType": content_type, "ResponseContentDisposition": disposition}
        return self._presign("get_object", params, ttl_seconds)

    # Within

    def _list_parts_range(self, key: str, multipart_id: str, after_part_number: int) -> dict[int, StoredPart]:
        """The parts of the thousand numbers after that one: one page, unless the store lists some twice."""
        parts: dict[int, StoredPart] = {}
        at: int | None = after_part_number
        while at is not None and at < after_part_number + PARTS_PER_PAGE:
            found, at = self.list_parts_page(key, multipart_id, at)
            parts |= found
        return {number: part for number, part in parts.items() if number <= after_part_number + PARTS_PER_PAGE}

    def _call_until(self, deadline: int, call: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The call's answer. Raises `Unfinished` where there is none by then.

        The connection cannot be timed out for that: S3 keeps it alive with white space while it works. So the call has
        a thread of its own, which nobody asks any more then. Whatever it still does, S3 does.
        """
        from concurrent.futures import Future, wait
        from threading import Thread

        answer: Future[Mapping[str, Any]] = Future()

        def make() -> None:
            try:
                answer.set_result(call())
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                answer.set_exception(error)

        Thread(target=make, name="complete", daemon=True).start()
        wait([answer], timeout=max(0, deadline - self._clock()) / 1000)
        if not answer.done():
            raise DeadlineExceeded
        return answer.result()

    def _presign(self, operation: str, params: Mapping[str, Any], ttl_seconds: int) -> str:
        with map_errors():
            return self._public_client.generate_presigned_url(
                operation, Params={"Bucket": self._bucket, **params}, ExpiresIn=ttl_seconds
            )

    def _call(
        self,
        operation: Callable[..., Any],
        error_types: Mapping[str, Callable[[], Exception]] | None = None,
        **params: object,
    ) -> Mapping[str, Any]:
        """One call on the bucket; `expected` maps error codes to what they mean here."""
        error_types = error_types or {}
        try:
            with map_errors(*error_types):
                answer: Mapping[str, Any] = operation(Bucket=self._bucket, **params)
                return answer
        except ClientError as error:
            meaning = error_types[error_code(error)]
            raise meaning() from error


def _etag(answer: Mapping[str, Any]) -> str:
    """In quotes, as HTTP has it."""
    return '"' + str(answer["ETag"]).strip('"') + '"'


def _crc(answer: Mapping[str, Any]) -> int | None:
    value = answer.get("ChecksumCRC32C")
    return crc32c_from_base64(value) if value else None


def _completed_part(part: StoredPart) -> dict[str, Any]:
    """A part as a completion names it."""
    named: dict[str, Any] = {"PartNumber": part.number, "ETag": part.etag}
    if part.crc32c is not None:
        named["ChecksumCRC32C"] = crc32c_to_base64(part.crc32c)
    return named
