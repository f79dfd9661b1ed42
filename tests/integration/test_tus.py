"""tus 1.0.0, rule by rule: what protocol.md demands, and what the public conformance suite demands beyond it."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from unittest import mock

import pytest

from ferry import wiring
from ferry.rules.digests import crc32c
from ferry.rules.layout import MIB
from tests.integration.stack import Stack
from tests.support.protocol_client import ProtocolClient, tus_client


@pytest.fixture
def tus(stack: Stack) -> ProtocolClient:
    return tus_client(stack)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def downloaded(stack: Stack, name: str) -> bytes:
    return stack.request("GET /download", query={"filename": name}).body


CREATIONS = [
    ("length", {"upload_length": "10"}, 201),
    ("deferred length", {"upload_defer_length": "1"}, 201),
    ("both", {"upload_length": "10", "upload_defer_length": "1"}, 400),
    ("neither", {}, 400),
    ("other deferral", {"upload_defer_length": "0"}, 400),
    ("negative length", {"upload_length": "-1"}, 400),
    ("no number", {"upload_length": "ten"}, 400),
    ("too long", {"upload_length": str(2**50)}, 413),
    ("far too long", {"upload_length": "9" * 30}, 413),
    ("other version", {"upload_length": "10", "tus_resumable": "0.2.2"}, 412),
    ("no version", {"upload_length": "10", "tus_resumable": ""}, 412),
    ("empty metadata", {"upload_length": "10", "upload_metadata": " "}, 201),
    ("metadata without value", {"upload_length": "10", "upload_metadata": "key"}, 201),
    ("metadata that is no base64", {"upload_length": "10", "upload_metadata": "filename a!"}, 400),
    ("a key twice", {"upload_length": "10", "upload_metadata": "a YQ==,a YQ=="}, 400),
    ("a bad name", {"upload_length": "10", "upload_metadata": f"filename {encoded('a//b')}"}, 422),
    ("other concatenation", {"upload_length": "10", "upload_concat": "whole"}, 400),
]


@pytest.mark.parametrize(("headers", "status"), [row[1:] for row in CREATIONS], ids=[row[0] for row in CREATIONS])
def test_creation_answers_by_its_headers(tus: ProtocolClient, headers: dict[str, str], status: int) -> None:
    """A creation has one of two lengths, and every response names the version; 412 names the supported ones."""
    created = tus.create(headers=headers)
    assert (created.status, created.headers["tus-resumable"]) == (status, "1.0.0")
    assert ("location" in created.headers, "tus-version" in created.headers) == (status == 201, status == 412)


def test_options_tell_capabilities_without_a_token(stack: Stack) -> None:
    """OPTIONS needs no token and no version, and reads no row."""
    for key in ("OPTIONS /uploads", "OPTIONS /uploads/{upload_id}"):
        found = stack.request(key, token=None)
        assert found.status == 200
        assert found.headers["tus-version"] == "1.0.0"
        extensions = set(found.headers["tus-extension"].split(","))
        assert {"creation", "creation-with-upload", "creation-defer-length", "checksum"} < extensions
        assert extensions & {"checksum-trailer", "concatenation-unfinished"} == set()
        assert "sha1" in found.headers["tus-checksum-algorithm"].split(",")
        assert "max-append-size=4194304" in found.headers["upload-limit"]


def test_requests_without_token_are_rejected(tus: ProtocolClient) -> None:
    """All but OPTIONS needs a token with files:write; the response names the version nevertheless."""
    tus.options = {"token": None}
    assert [tus.create(upload_length="1").status, tus.head("x").status, tus.delete("x").status] == [401, 401, 401]
    tus.options = {"token": tus.stack.token("demo", "files:read")}
    assert tus.create(upload_length="1").status == 403


def test_head_has_offset_length_and_expiry(tus: ProtocolClient) -> None:
    """HEAD has the offset also when it is 0, the length if it is known, and must not be cached."""
    metadata = f"filename {encoded('a b.txt')},other {encoded('x')}"
    upload_id = tus.upload_id(tus.create(upload_length="5", upload_metadata=metadata))
    found = tus.head(upload_id)
    assert found.status == 200
    assert (found.headers["upload-offset"], found.headers["upload-length"]) == ("0", "5")
    assert (found.headers["cache-control"], found.headers["upload-metadata"]) == ("no-store", metadata)
    assert found.headers["upload-expires"].endswith(" GMT")
    assert found.headers["ferry-filename"] == "a%20b.txt"
    deferred = tus.head(tus.upload_id(tus.create(upload_defer_length="1")))
    assert (deferred.headers["upload-defer-length"], "upload-length" in deferred.headers) == ("1", False)


def test_unknown_upload_is_not_found(tus: ProtocolClient) -> None:
    """A request to an unknown upload, or one of another namespace, is a 404 without an offset."""
    upload_id = tus.upload_id(tus.create(upload_length="5"))
    for unknown, options in (("no-such-id", {}), (upload_id, {"token": tus.stack.token("other")})):
        tus.options = options
        for found in (tus.head(unknown), tus.patch(unknown, 0, b"x"), tus.delete(unknown)):
            assert (found.status, "upload-offset" in found.headers) == (404, False)


PATCHES = [
    ("right", 3, b"45", {}, 204),
    ("wrong offset", 2, b"345", {}, 409),
    ("no offset", None, b"45", {}, 400),
    ("offset that is no number", None, b"45", {"upload_offset": "NaN"}, 400),
    ("no type", 3, b"45", {"content_type": ""}, 415),
    ("wrong type", 3, b"45", {"content_type": "text/plain"}, 415),
    ("too long", 3, b"456", {}, 413),
    ("other length", 3, b"45", {"upload_length": "6"}, 400),
    ("no version", 3, b"45", {"tus_resumable": ""}, 412),
    ("unknown algorithm", 3, b"45", {"upload_checksum": "sha3 AA=="}, 400),
    ("no base64", 3, b"45", {"upload_checksum": "sha1 !"}, 400),
    ("wrong checksum", 3, b"45", {"upload_checksum": "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, 460),
    ("short checksum", 3, b"45", {"upload_checksum": "sha1 AAAA"}, 460),
    ("no checksum", 3, b"45", {"upload_checksum": "sha1"}, 400),
    ("offset far beyond", None, b"45", {"upload_offset": "9" * 30}, 409),
]


@pytest.mark.parametrize(
    ("offset", "body", "headers", "status"), [row[1:] for row in PATCHES], ids=[row[0] for row in PATCHES]
)
def test_patch_answers_by_its_headers(
    tus: ProtocolClient, offset: int | None, body: bytes, headers: dict[str, str], status: int
) -> None:
    """A PATCH that is rejected changes nothing; a 409 has the offset."""
    upload_id = tus.upload_id(tus.create(upload_length="5"))
    assert tus.patch(upload_id, 0, b"123").headers["upload-offset"] == "3"
    found = tus.patch(upload_id, offset, body, **headers)
    assert (found.status, found.headers["tus-resumable"]) == (status, "1.0.0")
    if status in (204, 409):
        assert found.headers["upload-offset"] == ("5" if status == 204 else "3")
    assert tus.head(upload_id).headers["upload-offset"] == ("5" if status == 204 else "3")


CHECKSUMS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("sha1", lambda body: hashlib.sha1(body, usedforsecurity=False).digest()),
    ("md5", lambda body: hashlib.md5(body, usedforsecurity=False).digest()),
    ("sha256", lambda body: hashlib.sha256(body).digest()),
    ("crc32", lambda body: zlib.crc32(body).to_bytes(4, "big")),
    ("crc32c", lambda body: crc32c(body).to_bytes(4, "big")),
]


@pytest.mark.parametrize(("algorithm", "digest"), CHECKSUMS, ids=[row[0] for row in CHECKSUMS])
def test_checksum_of_each_algorithm_is_verified(
    tus: ProtocolClient, algorithm: str, digest: Callable[[bytes], bytes]
) -> None:
    """The right checksum is accepted, in a PATCH and in a creation; that of other bytes is a 460, nothing is stored."""
    right, wrong = (f"{algorithm} {base64.b64encode(digest(body)).decode()}" for body in (b"bytes", b"other"))
    upload_id = tus.upload_id(tus.create(upload_length="5"))
    assert tus.patch(upload_id, 0, b"bytes", upload_checksum=wrong).status == 460
    assert tus.patch(upload_id, 0, b"bytes", upload_checksum=right).status == 204
    assert tus.create(b"bytes", upload_length="5", upload_checksum=wrong).status == 460
    assert tus.create(b"bytes", upload_length="5", upload_checksum=right).headers["upload-offset"] == "5"


def test_creation_with_upload_takes_bytes(stack: Stack, tus: ProtocolClient) -> None:
    """A creation may have the first bytes or all of them; their type must be that of tus."""
    metadata = f"filename {encoded('notes.txt')},filetype {encoded('text/plain')}"
    created = tus.create(b"12345", upload_length="5", upload_metadata=metadata)
    assert (created.status, created.headers["upload-offset"]) == (201, "5")
    assert downloaded(stack, "notes.txt") == b"12345"
    assert stack.request("GET /files", query={"filename": "notes.txt"}).json["content_type"] == "text/plain"
    assert tus.create(b"123", upload_length="5").headers["upload-offset"] == "3"
    assert tus.create(b"123", upload_length="5", content_type="text/plain").status == 415
    assert tus.create(b"123456", upload_length="5").status == 413


def test_creation_without_body_ignores_content_type(tus: ProtocolClient) -> None:
    """API Gateway adds a type to requests without a body."""
    assert tus.create(upload_length="5", content_type="application/octet-stream").status == 201


def test_zero_length_is_complete_at_once(stack: Stack, tus: ProtocolClient) -> None:
    """An empty file needs no PATCH."""
    created = tus.create(upload_length="0", upload_metadata=f"filename {encoded('empty')}")
    found = tus.head(tus.upload_id(created))
    assert (found.headers["upload-offset"], found.headers["upload-length"]) == ("0", "0")
    assert stack.request("GET /files", query={"filename": "empty"}).json["size"] == 0


def test_deferred_length_is_set_once(stack: Stack, tus: ProtocolClient) -> None:
    """A PATCH declares the length, which does not change then; an empty one may end the upload."""
    name = f"filename {encoded('deferred')}"
    upload_id = tus.upload_id(tus.create(upload_defer_length="1", upload_metadata=name))
    assert tus.patch(upload_id, 0, b"12345").status == 204
    assert tus.patch(upload_id, 5, b"", upload_length="5").status == 204
    assert tus.head(upload_id).headers["upload-length"] == "5"
    assert downloaded(stack, "deferred") == b"12345"
    other = tus.upload_id(tus.create(upload_defer_length="1"))
    assert tus.patch(other, 0, b"1", upload_length="10").status == 204
    assert tus.patch(other, 1, b"2", upload_length="11").status == 400


def test_termination_removes_the_upload(stack: Stack, tus: ProtocolClient) -> None:
    """DELETE is a 204 once, then a 404. The file of a complete upload stays, and the response names it."""
    upload_id = tus.upload_id(tus.create(upload_length="5"))
    assert [tus.delete(upload_id, tus_resumable="").status, tus.delete(upload_id).status] == [412, 204]
    assert [tus.head(upload_id).status, tus.patch(upload_id, 0, b"1").status, tus.delete(upload_id).status] == [404] * 3
    done = tus.upload_id(tus.create(b"12", upload_length="2", upload_metadata=f"filename {encoded('kept')}"))
    assert tus.delete(done).headers["ferry-filename"] == "kept"
    assert (tus.head(done).status, downloaded(stack, "kept")) == (404, b"12")


def test_expired_upload_is_gone(tus: ProtocolClient) -> None:
    """An upload that has expired is a 410, whether cleanup has run or not."""
    upload_id = tus.upload_id(tus.create(upload_length="5"))
    with mock.patch("ferry.resumable.lookup.is_expired", return_value=True):
        assert [tus.head(upload_id).status, tus.patch(upload_id, 0, b"1").status] == [410, 410]


def test_method_override_replaces_the_method(tus: ProtocolClient) -> None:
    """`X-HTTP-Method-Override` lets POST stand for PATCH, HEAD and DELETE."""
    upload_id = tus.upload_id(tus.create(upload_length="5"))
    assert tus.patch(upload_id, 0, b"12", "POST", x_http_method_override="PATCH").status == 204
    assert tus.head(upload_id, "POST", x_http_method_override="HEAD").headers["upload-offset"] == "2"
    assert tus.head(upload_id, "POST").status == 400
    assert tus.head(upload_id, "POST", x_http_method_override="DELETE").status == 204
    assert tus.head(upload_id).status == 404


def test_method_override_beside_other_methods_wins_over_patch_alone(tus: ProtocolClient) -> None:
    """PATCH does what the header names. GET and HEAD stay reads, and DELETE and a creation stand for nothing else."""
    upload_id = tus.upload_id(tus.create(upload_length="5"))
    assert tus.patch(upload_id, 0, b"12", x_http_method_override="HEAD").headers["upload-offset"] == "0"
    assert tus.delete(upload_id, x_http_method_override="PATCH").status == 400
    assert tus.head(upload_id, x_http_method_override="DELETE").status == 200
    assert tus.head(upload_id, "GET", x_http_method_override="PATCH").headers["upload-offset"] == "0"
    assert tus.create(upload_length="5", x_http_method_override="PATCH").status == 400
    assert tus.create(upload_length="5", x_http_method_override="POST").status == 201
    assert tus.patch(upload_id, 0, b"", x_http_method_override="delete").status == 204
    assert tus.head(upload_id).status == 404


def test_body_beyond_the_limit_names_the_limit(tus: ProtocolClient) -> None:
    """A 413 names how many bytes a request may append, in a PATCH and in a creation."""
    upload_id = tus.upload_id(tus.create(upload_length=str(9 * MIB)))
    body = bytes(4 * MIB + 1)
    for found in (tus.patch(upload_id, 0, body), tus.create(body, upload_length=str(9 * MIB))):
        assert (found.status, "max-append-size=4194304" in found.headers["upload-limit"]) == (413, True)


def test_concatenation_joins_partial_uploads(stack: Stack, tus: ProtocolClient) -> None:
    """A final upload has the bytes of its partials in their order, as often as it names them, also after their end."""
    sizes = [("A", 3), ("B", 9 * MIB), ("C", 5)]
    bodies = [letter.encode() * size for letter, size in sizes]
    partials = []
    for body in bodies:
        partials.append(tus.upload_id(tus.create(upload_length=str(len(body)), upload_concat="partial")))
        for offset in range(0, len(body), 4 * MIB):
            assert tus.patch(partials[-1], offset, body[offset : offset + 4 * MIB]).status == 204
    found = tus.head(partials[1])
    assert (found.headers["upload-concat"], "ferry-filename" in found.headers) == ("partial", False)
    urls = " ".join(
        f"https://id.execute-api.us-east-1.amazonaws.com/uploads/{each}" for each in [*partials, partials[0]]
    )
    metadata = f"filename {encoded('whole')}"
    assert tus.create(upload_concat=f"final;{urls}", upload_length="8").status == 400
    final = tus.upload_id(tus.create(upload_concat=f"final;{urls}", upload_metadata=metadata))
    for each in partials:
        assert tus.delete(each).status == 204
    total = str(sum(size for _, size in sizes) + 3)
    headers = tus.head(final).headers
    assert (headers["upload-offset"], headers["upload-length"], headers["upload-concat"][:6]) == (
        total,
        total,
        "final;",
    )
    assert tus.patch(final, 0, b"x").status == 403
    record = stack.request("GET /files", query={"filename": "whole"}).json
    assert wiring.services().object_store.get(f"o/{record['upload_id']}") == b"".join([*bodies, bodies[0]])


def test_final_of_incomplete_or_unknown_partial_is_rejected(tus: ProtocolClient) -> None:
    """A final upload takes complete partial uploads only."""
    incomplete = tus.upload_id(tus.create(upload_length="5", upload_concat="partial"))
    ordinary = tus.upload_id(tus.create(b"1", upload_length="1"))
    partial = tus.upload_id(tus.create(b"1", upload_length="1", upload_concat="partial"))
    for upload_id in (incomplete, ordinary, "unknown", f"{partial},/uploads/{partial}"):
        assert tus.create(upload_concat=f"final;/uploads/{upload_id}").status == 400


def test_names_follow_metadata_and_if_exists(stack: Stack, tus: ProtocolClient) -> None:
    """relativePath names the file, else filename, else name; `rename` finds a free name, `fail` is a 403."""
    rows = [
        ({"relativePath": "folder/one.txt", "filename": "two.txt"}, "folder/one.txt"),
        ({"relativePath": "null", "filename": "two.txt"}, "two.txt"),
        ({"relativePath": "", "name": "three.txt"}, "three.txt"),
        ({"relativePath": "/folder/four.txt"}, "folder/four.txt"),
        ({"filename": "two.txt"}, "two%20%282%29.txt"),
    ]
    for metadata, expected in rows:
        header = ",".join(f"{key} {encoded(value)}".strip() for key, value in metadata.items())
        created = tus.create(expected.encode(), upload_length=str(len(expected)), upload_metadata=header)
        assert created.headers["ferry-filename"] == expected
    taken = f"filename {encoded('two.txt')}"
    rejected = tus.create(query={"if_exists": "fail"}, upload_length="1", upload_metadata=taken)
    assert (rejected.status, rejected.code) == (403, "file_exists")
    assert tus.create(query={"if_exists": "never"}, upload_length="1").status == 422
    replaced = tus.create(b"new", query={"if_exists": "replace"}, upload_length="3", upload_metadata=taken)
    assert (replaced.headers["ferry-filename"], downloaded(stack, "two.txt")) == ("two.txt", b"new")


def test_whole_file_repeated_in_one_request_is_that_file(stack: Stack, tus: ProtocolClient) -> None:
    """A creation with all bytes, repeated after a lost response under `rename`, makes no second file."""
    metadata = f"filename {encoded('once')}"
    first, second = (tus.create(b"12", upload_length="2", upload_metadata=metadata) for _ in range(2))
    assert (second.status, second.headers["location"]) == (201, first.headers["location"])
    assert stack.request("GET /files", query={"prefix": "once"}).json["files"][1:] == []


def test_status_and_lists_show_the_upload(stack: Stack, tus: ProtocolClient) -> None:
    """Status shows an upload of tus as any other; requests about the name's chunks do not see it."""
    created = tus.create(b"12", upload_defer_length="1", upload_metadata=f"filename {encoded('watched')}")
    upload_id = tus.upload_id(created)
    found = stack.request("GET /status", query={"filename": "watched"}).json
    assert (found["upload_id"], found["state"], found["received_bytes"], found["next_offset"]) == (
        upload_id,
        "partial",
        2,
        2,
    )
    assert (found["size"], found["percent"]) == (None, None)
    listed = stack.request("GET /status").json["uploads"]
    assert upload_id in [each["upload_id"] for each in listed]
    chunk = {"filename": "watched", "chunk_index": "1", "upload_id": upload_id}
    sent = stack.request(
        "POST /upload/chunk", query=chunk, headers={"content-type": "application/octet-stream"}, body=b"1"
    )
    assert (sent.status, sent.code) == (404, "upload_not_found")
    tus.create(upload_length="1", query={"if_exists": "replace"}, upload_metadata=f"filename {encoded('watched')}")
    several = stack.request("DELETE /upload", query={"filename": "watched"})
    assert (several.status, several.code, len(several.json["uploads"])) == (409, "upload_id_required", 2)
    assert stack.request("DELETE /upload", query={"filename": "watched", "upload_id": upload_id}).status == 204
    assert tus.head(upload_id).status == 404


def test_rejected_end_is_completed_under_another_rule(stack: Stack, tus: ProtocolClient) -> None:
    """Where a file came meanwhile, `fail` keeps the offset below the length, until complete says what to do."""
    metadata = f"filename {encoded('late')}"
    upload_id = tus.upload_id(tus.create(query={"if_exists": "fail"}, upload_length="2", upload_metadata=metadata))
    open_id = tus.upload_id(tus.create(query={"if_exists": "fail"}, upload_length="2", upload_metadata=metadata))
    stack.request("PUT /files", query={"filename": "late"}, headers={"content-type": "text/plain"}, body=b"other")
    rejected = tus.patch(upload_id, 0, b"12")
    assert (rejected.status, rejected.code, rejected.headers["upload-offset"]) == (403, "file_exists", "0")
    assert tus.head(upload_id).headers["upload-offset"] == "0"
    body = {"filename": "late", "upload_id": upload_id, "if_exists": "replace"}
    assert stack.post_json("POST /upload/complete", {**body, "upload_id": open_id}).code == "upload_not_found"
    assert stack.post_json("POST /upload/complete", body).status == 200
    assert (tus.head(upload_id).headers["upload-offset"], downloaded(stack, "late")) == ("2", b"12")


def test_long_concatenation_continues_asynchronously(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A final upload whose parts are not copied in time has no offset header, and the cleanup function copies them."""
    tus = tus_client(stack)
    partial = tus.upload_id(tus.create(upload_length=str(8 * MIB), upload_concat="partial"))
    for offset in (0, 4 * MIB):
        assert tus.patch(partial, offset, bytes(4 * MIB)).status == 204
    with monkeypatch.context() as slow:
        slow.setenv("FERRY_ASSEMBLY_BUDGET_SECONDS", "0")
        slow.setenv("FERRY_CLEANUP_FUNCTION", "the cleanup function")
        stack.new_process()
        created = tus.create(upload_concat=f"final;/uploads/{partial}")
        final, deleted = tus.upload_id(created), tus.delete(tus.upload_id(created))
        assert (deleted.status, deleted.code, "retry-after" in deleted.headers) == (409, "upload_completing", True)
        for response in (created, deleted, tus.head(final), tus.patch(final, 0, b"x")):
            assert "upload-offset" not in response.headers
            assert response.headers["ferry-filename"] == final
    stack.new_process()
    upload = wiring.services().upload_repository.get_upload(final)
    assert upload is not None
    event = {"ferry": "continue_completion", "upload_id": final, "lease_id": upload.record.lease_id}
    assert stack.invoke("cleanup", event) == {}
    assert tus.head(final).headers["upload-offset"] == str(8 * MIB)


def test_deleted_upload_leaves_nothing_in_s3(stack: Stack) -> None:
    """Parts, pieces and the multipart upload of a deleted upload are gone, and joined pieces before that."""
    tus = tus_client(stack)
    created = tus.create(query={"if_exists": "fail"}, upload_length=str(9 * MIB), upload_metadata="filename YQ==")
    upload_id = tus.upload_id(created)
    for offset in range(17):
        assert tus.patch(upload_id, offset, b"x").status == 204
    for offset in (17, 17 + 4 * MIB):
        assert tus.patch(upload_id, offset, bytes(4 * MIB)).status == 204
    assert tus.delete(upload_id).status == 204
    listed = wiring.services().object_store.list_objects(f"st/{upload_id}/", None, 10)
    assert (list(listed.items), tus.head(upload_id).status) == ([], 404)
