"""The IETF draft "Resumable Uploads for HTTP", rule by rule."""

from __future__ import annotations

import base64
import hashlib

import pytest

from ferry.rules.digests import crc32c
from tests.integration.stack import Stack
from tests.support.protocol_client import ProtocolClient, draft_client, tus_client

MISMATCH = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
INCONSISTENT = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"


@pytest.fixture
def draft(stack: Stack) -> ProtocolClient:
    return draft_client(stack)


def downloaded(stack: Stack, name: str) -> bytes:
    return stack.request("GET /download", query={"filename": name}).body


CREATIONS = [
    ("empty, to be continued", None, {"upload_complete": "?0"}, 201, "?0"),
    ("with length", b"12", {"upload_complete": "?0", "upload_length": "5"}, 201, "?0"),
    ("all bytes, to be ended", b"12345", {"upload_complete": "?0", "upload_length": "5"}, 201, "?0"),
    ("whole", b"12345", {"upload_complete": "?1"}, 201, "?1"),
    ("whole with length", b"12345", {"upload_complete": "?1", "upload_length": "5"}, 201, "?1"),
    ("empty file", None, {"upload_complete": "?1"}, 201, "?1"),
    ("another length", b"12345", {"upload_complete": "?1", "upload_length": "6"}, 400, "?0"),
    ("beyond the length", b"12345", {"upload_complete": "?0", "upload_length": "4"}, 400, "?0"),
    ("no boolean", b"1", {"upload_complete": "true"}, 400, "?0"),
    ("too long", None, {"upload_complete": "?0", "upload_length": str(2**50)}, 413, "?0"),
    ("wrong digest", b"1", {"upload_complete": "?1", "content_digest": "md5=:AAAAAAAAAAAAAAAAAAAAAA==:"}, 400, "?0"),
]


@pytest.mark.parametrize(
    ("body", "headers", "status", "complete"), [row[1:] for row in CREATIONS], ids=[row[0] for row in CREATIONS]
)
def test_creation_answers_by_its_headers(
    draft: ProtocolClient, body: bytes | None, headers: dict[str, str], status: int, complete: str
) -> None:
    """Every response has the limits and whether the file is committed; a rejected creation makes no upload."""
    created = draft.create(body, headers=headers)
    assert (created.status, created.headers["upload-complete"]) == (status, complete)
    assert "max-append-size=4194304" in created.headers["upload-limit"]
    assert ("location" in created.headers) == (status == 201)
    if status == 201:
        assert created.headers["upload-offset"] == str(len(body or b""))
    if "length" in str(created.body):
        assert created.json["type"] in (INCONSISTENT, "urn:ferry:problem:upload_too_large")


def test_offset_is_in_responses_to_head_and_get(draft: ProtocolClient) -> None:
    """HEAD and GET return offset, completeness, limits and the length once it is known."""
    upload_id = draft.upload_id(draft.create(b"123", upload_complete="?0"))
    for method in ("HEAD", "GET"):
        found = draft.head(upload_id, method)
        assert (found.status, found.headers["upload-offset"], found.headers["upload-complete"]) == (204, "3", "?0")
        assert ("upload-length" in found.headers, found.headers["cache-control"]) == (False, "no-store")
        assert "upload-limit" in found.headers
    assert draft.patch(upload_id, 3, b"45", upload_complete="?1").headers["upload-complete"] == "?1"
    assert draft.head(upload_id).headers["upload-length"] == "5"
    assert [draft.head(upload_id, **{name: "?0"}).status for name in ("upload_complete", "upload_offset")] == [400, 400]


PATCHES = [
    ("right", 3, b"45", {"upload_complete": "?0"}, 204),
    ("last", 3, b"45", {"upload_complete": "?1"}, 204),
    ("empty", 3, b"", {"upload_complete": "?0"}, 204),
    ("wrong offset", 2, b"345", {"upload_complete": "?0"}, 409),
    ("no offset", None, b"45", {"upload_complete": "?0"}, 400),
    ("offset that is no number", None, b"45", {"upload_complete": "?0", "upload_offset": "abc"}, 400),
    ("no completeness", 3, b"45", {}, 400),
    ("wrong type", 3, b"45", {"upload_complete": "?0", "content_type": "text/plain"}, 415),
    ("other length", 3, b"45", {"upload_complete": "?0", "upload_length": "6"}, 400),
    ("too early an end", 3, b"4", {"upload_complete": "?1"}, 400),
    ("wrong digest", 3, b"45", {"upload_complete": "?0", "content_digest": "md5=:AAAAAAAAAAAAAAAAAAAAAA==:"}, 400),
]


@pytest.mark.parametrize(
    ("offset", "body", "headers", "status"), [row[1:] for row in PATCHES], ids=[row[0] for row in PATCHES]
)
def test_patch_answers_by_its_headers(
    draft: ProtocolClient, offset: int | None, body: bytes, headers: dict[str, str], status: int
) -> None:
    """A PATCH that is rejected changes nothing, says that the file is not complete, and has the limits."""
    upload_id = draft.upload_id(draft.create(b"123", upload_complete="?0", upload_length="5"))
    found = draft.patch(upload_id, offset, body, **headers)
    assert found.status == status
    assert found.headers["upload-complete"] == (headers.get("upload_complete", "?0") if status == 204 else "?0")
    assert "upload-limit" in found.headers
    assert found.headers["upload-offset"] == (str(3 + len(body)) if status == 204 else "3")
    assert found.headers["ferry-filename"] == upload_id
    if status == 409:
        assert (found.json["type"], found.json["expected-offset"], found.json["provided-offset"]) == (MISMATCH, 3, 2)
    assert draft.head(upload_id).headers["upload-offset"] == str(3 + len(body) if status == 204 else 3)


@pytest.mark.parametrize(
    ("size", "headers"), [(2, {"upload_complete": "?0", "upload_length": "6"}), (1, {"upload_complete": "?1"})]
)
def test_inconsistent_length_has_its_problem_type(draft: ProtocolClient, size: int, headers: dict[str, str]) -> None:
    """Another length than that of the creation, and an end before it, are a 400 of the draft's type."""
    upload_id = draft.upload_id(draft.create(b"123", upload_complete="?0", upload_length="5"))
    found = draft.patch(upload_id, 3, bytes(size), **headers)
    assert (found.status, found.json["type"], found.json["code"]) == (400, INCONSISTENT, "inconsistent_upload_length")
    assert found.headers["content-type"] == "application/problem+json"


def test_limits_are_in_capabilities_creations_and_offsets(stack: Stack, draft: ProtocolClient) -> None:
    """Upload-Limit is the same in OPTIONS, a creation and HEAD; a length over its max-size is a 413."""
    created = draft.create(upload_complete="?0")
    found = stack.request("OPTIONS /uploads", token=None), created, draft.head(draft.upload_id(created))
    [text] = {response.headers["upload-limit"] for response in found}
    limits = dict(member.strip().split("=") for member in text.split(","))
    assert (set(limits), limits["min-size"]) == ({"max-size", "min-size", "max-append-size", "max-age"}, "0")
    assert limits["max-append-size"] == "4194304"
    longest = int(limits["max-size"])
    statuses = [draft.create(upload_complete="?0", upload_length=str(size)).status for size in (longest, longest + 1)]
    assert statuses == [201, 413]


def test_bytes_beyond_the_length_end_the_upload(draft: ProtocolClient) -> None:
    """An append beyond a known length is a 409, and the upload is gone."""
    upload_id = draft.upload_id(draft.create(b"123", upload_complete="?0", upload_length="3"))
    found = draft.patch(upload_id, 3, b"4", upload_complete="?0")
    assert (found.status, found.headers["upload-complete"], found.json["type"]) == (409, "?0", INCONSISTENT)
    assert draft.head(upload_id).status == 404


def test_all_bytes_wait_for_the_end(stack: Stack, draft: ProtocolClient) -> None:
    """The offset counts all bytes, and an empty last request commits the file; repeated, it succeeds again."""
    upload_id = draft.upload_id(draft.create(query={"filename": "waits"}, upload_complete="?0", upload_length="3"))
    assert draft.patch(upload_id, 0, b"123", upload_complete="?0").headers["upload-offset"] == "3"
    assert stack.request("GET /download", query={"filename": "waits"}).status == 404
    for _ in range(2):
        assert draft.patch(upload_id, 3, b"", upload_complete="?1").headers["upload-complete"] == "?1"
    assert downloaded(stack, "waits") == b"123"
    assert draft.patch(upload_id, 0, b"123", upload_complete="?1").status == 409


NAMES = [
    ({"filename": "from the query"}, {"content_disposition": 'attachment; filename="other"'}, "from%20the%20query"),
    ({}, {"content_disposition": 'inline; filename="a b.txt"'}, "a%20b.txt"),
    ({}, {"content_disposition": "attachment; filename=plain; filename*=UTF-8''%C3%A4.txt"}, "%C3%A4.txt"),
    ({}, {"content_disposition": 'inline; filename="folder/last.txt"'}, "last.txt"),
]


@pytest.mark.parametrize(("query", "headers", "expected"), NAMES)
def test_name_comes_from_query_or_disposition(
    draft: ProtocolClient, query: dict[str, str], headers: dict[str, str], expected: str
) -> None:
    """The query names the file, else the last segment in Content-Disposition."""
    created = draft.create(b"1", query, headers, upload_complete="?1")
    assert created.headers["ferry-filename"] == expected


def test_upload_without_name_is_named_by_its_id(draft: ProtocolClient) -> None:
    """Without any name, the upload id is the name."""
    created = draft.create(b"1", upload_complete="?1")
    assert created.headers["ferry-filename"] == draft.upload_id(created)


def test_content_type_of_a_creation_is_that_of_the_file(stack: Stack, draft: ProtocolClient) -> None:
    """The type of the body is the file's, unless it is that of the protocol, or the query has one."""
    for name, content_type, query, expected in (
        ("typed", "image/png", {}, "image/png"),
        ("partial", "application/partial-upload", {}, "application/octet-stream"),
        ("queried", "application/partial-upload", {"content_type": "text/css"}, "text/css"),
        # API Gateway adds a type to requests without a body.
        ("empty", "text/plain", {}, "application/octet-stream"),
    ):
        body = b"" if name == "empty" else b"1"
        draft.create(body, {"filename": name, **query}, upload_complete="?1", content_type=content_type)
        assert stack.request("GET /files", query={"filename": name}).json["content_type"] == expected


def test_digests_are_verified(draft: ProtocolClient) -> None:
    """Content-Digest is that of the body, and the crc32c of Repr-Digest that of the whole file."""
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(b'123').digest()).decode()}:"
    assert draft.create(b"123", upload_complete="?1", content_digest=digest).status == 201
    right, wrong = (f"crc32c=:{base64.b64encode(crc32c(body).to_bytes(4, 'big')).decode()}:" for body in (b"123", b"4"))
    assert draft.create(b"123", upload_complete="?1", repr_digest=right).status == 201
    rejected = draft.create(b"123", upload_complete="?1", repr_digest=wrong)
    assert (rejected.status, rejected.code) == (400, "checksum_mismatch")


@pytest.mark.parametrize(
    ("repr_digest", "code"),
    [
        ("crc32c=:AAAAAA==:", "checksum_mismatch"),
        (f"sha-256=:{'A' * 43}=:", "checksum_mismatch"),
        ("crc32c=:AAAA:", "malformed_header"),
        ("crc32c=:!!:", "malformed_header"),
        ("crc32c=AAAAAA==", "malformed_header"),
        ("crc32c", "malformed_header"),
    ],
)
def test_creation_with_wrong_repr_digest_stores_nothing(
    stack: Stack, draft: ProtocolClient, repr_digest: str, code: str
) -> None:
    """A digest of the whole file that is malformed, or of other bytes than the body, leaves no upload behind."""
    name = {"filename": "rejected"}
    rejected = draft.create(b"123", name, upload_complete="?1", repr_digest=repr_digest)
    assert (rejected.status, rejected.code) == (400, code)
    assert stack.request("GET /status", query=name).status == 404


def test_repr_digest_of_other_algorithms_is_ignored_for_parts(draft: ProtocolClient) -> None:
    """Of a file in several requests only the CRC32C can be verified; other digests do not disturb."""
    for repr_digest in ("sha-256=:AAAA:", "unixsum=:AAAA:", "sha-256=:AAAA:, crc32c=:EHsvsg==:;x=1"):
        created = draft.create(b"1", upload_complete="?0", repr_digest=repr_digest)
        assert draft.patch(draft.upload_id(created), 1, b"23", upload_complete="?1").status == 204


@pytest.mark.parametrize(
    ("version", "header", "false", "true"),
    [
        ("3", "upload_incomplete", "?1", "?0"),
        ("4", "upload_complete", "?0", "?1"),
        ("5", "upload_complete", "?0", "?1"),
    ],
)
def test_older_versions_need_no_type(draft: ProtocolClient, version: str, header: str, false: str, true: str) -> None:
    """Interop 3 says the opposite; before interop 6 appends have no media type of their own."""
    draft.common = {"upload-draft-interop-version": version}
    upload_id = draft.upload_id(draft.create(headers={header: false}))
    name = header.replace("_", "-")
    assert draft.patch(upload_id, 0, b"12", **{header: false, "content_type": ""}).headers[name] == false
    assert draft.head(upload_id).headers[name] == false
    assert draft.patch(upload_id, 2, b"3", **{header: true, "content_type": ""}).headers[name] == true


@pytest.mark.parametrize("version", ["6", "8", "10"])
def test_versions_from_6_on_need_the_type(draft: ProtocolClient, version: str) -> None:
    """From interop 6 on (draft -04) an append has the media type of the draft."""
    draft.common = {"upload-draft-interop-version": version}
    upload_id = draft.upload_id(draft.create(upload_complete="?0"))
    for content_type in ("", "application/octet-stream"):
        assert draft.patch(upload_id, 0, b"1", upload_complete="?0", content_type=content_type).status == 415
    assert draft.patch(upload_id, 0, b"1", upload_complete="?1").headers["upload-complete"] == "?1"


def test_newer_versions_are_taken_as_the_newest(draft: ProtocolClient) -> None:
    """An unknown version, or none, is that of draft -12."""
    for version in ("9", "10", "999", "x"):
        draft.common = {"upload-draft-interop-version": version}
        assert draft.create(b"1", upload_complete="?1").status == 201


def test_upload_speaks_the_protocol_that_created_it(stack: Stack, draft: ProtocolClient) -> None:
    """A request of the other protocol does not reach the upload; tus without a version is a 412."""
    tus = tus_client(stack)
    of_draft = draft.upload_id(draft.create(upload_complete="?0"))
    of_tus = tus.upload_id(tus.create(upload_length="5"))
    assert [tus.head(of_draft).status, draft.head(of_tus).status, draft.delete(of_tus).status] == [404, 412, 412]
    assert draft.head(of_tus).headers["tus-version"] == "1.0.0"
    assert draft.delete(of_draft).status == 204
    assert [draft.head(of_draft).status, draft.delete(of_draft).status] == [404, 404]
