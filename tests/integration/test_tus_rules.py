"""Rules of tus 1.0.0 beyond one request: versions, expiry, limits, and offsets that other servers got wrong."""

from __future__ import annotations

import base64
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import pytest

from ferry.resumable.create import plan_layout
from ferry.resumable.limits import MAX_LENGTH
from ferry.rules.layout import MAX_PARTS, MIB
from tests.integration.stack import Result, Stack
from tests.support.protocol_client import ProtocolClient, tus_client

Send = Callable[[ProtocolClient, str, dict[str, str]], Result]

REQUESTS: list[tuple[str, Send, int]] = [
    ("HEAD", lambda tus, upload_id, headers: tus.head(upload_id, **headers), 200),
    ("GET", lambda tus, upload_id, headers: tus.head(upload_id, "GET", **headers), 200),
    ("PATCH", lambda tus, upload_id, headers: tus.patch(upload_id, 0, b"12", **headers), 204),
    ("DELETE", lambda tus, upload_id, headers: tus.delete(upload_id, **headers), 204),
    (
        "override",
        lambda tus, upload_id, headers: tus.patch(
            upload_id, 0, b"12", "POST", x_http_method_override="PATCH", **headers
        ),
        204,
    ),
]
"""Requests to an upload without bytes, and the status of success."""


@pytest.fixture
def tus(stack: Stack) -> ProtocolClient:
    return tus_client(stack)


def metadata(**values: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


@pytest.mark.parametrize("version", ["", "0.2.2"])
@pytest.mark.parametrize(("send", "status"), [row[1:] for row in REQUESTS], ids=[row[0] for row in REQUESTS])
def test_request_of_another_version_is_not_processed(
    tus: ProtocolClient, send: Send, status: int, version: str
) -> None:
    """Every request to an upload needs version 1.0.0: else a 412 names it, and nothing changes."""
    upload_id = tus.upload_id(tus.create(upload_length="5"))
    rejected = send(tus, upload_id, {"tus_resumable": version})
    assert (rejected.status, rejected.headers["tus-version"]) == (412, "1.0.0")
    assert tus.head(upload_id).headers["upload-offset"] == "0"
    accepted = send(tus, upload_id, {})
    assert (accepted.status, accepted.headers["tus-resumable"]) == (status, "1.0.0")


def test_options_ignore_the_version_and_tell_the_maximum(stack: Stack, tus: ProtocolClient) -> None:
    """OPTIONS of any version has the capabilities; its Tus-Max-Size is the longest length that is accepted."""
    found = stack.request("OPTIONS /uploads", headers={"tus-resumable": "0.2.2"}, token=None)
    assert (found.status, found.headers["tus-version"]) == (200, "1.0.0")
    longest = int(found.headers["tus-max-size"])
    statuses = [tus.create(upload_length=str(length)).status for length in (longest, longest + 1)]
    assert statuses == [201, 413]


def test_expiry_is_in_responses_until_the_upload_is_complete(tus: ProtocolClient) -> None:
    """Upload-Expires is an HTTP date in responses to the creation and to each append; a complete upload has none."""
    created = tus.create(b"1", upload_length="3")
    upload_id = tus.upload_id(created)
    for response in (created, tus.patch(upload_id, 1, b"2"), tus.head(upload_id)):
        value = response.headers["upload-expires"]
        assert value.endswith(" GMT")
        assert parsedate_to_datetime(value).tzinfo is not None
    assert "upload-expires" not in tus.patch(upload_id, 2, b"3").headers
    assert "upload-expires" not in tus.head(upload_id).headers


def test_final_upload_takes_no_metadata_of_its_partials(stack: Stack, tus: ProtocolClient) -> None:
    """Names and types of partial uploads are not those of the final one, which says its own, or has none."""
    of_partial = metadata(filename="of the partial", filetype="image/png")
    partial = tus.upload_id(tus.create(b"1", upload_length="1", upload_concat="partial", upload_metadata=of_partial))
    created = tus.create(upload_concat=f"final;/uploads/{partial}")
    final = tus.upload_id(created)
    assert created.headers["ferry-filename"] == final
    assert stack.request("GET /files", query={"filename": final}).json["content_type"] == "application/octet-stream"
    found = tus.head(final)
    assert ("upload-metadata" in found.headers, found.headers["upload-concat"]) == (False, f"final;/uploads/{partial}")
    assert tus.head(partial).headers["upload-metadata"] == of_partial


def test_final_upload_takes_a_hundred_partials(stack: Stack, tus: ProtocolClient) -> None:
    """A request line and headers of 10,240 bytes hold about 100 URLs of partial uploads, the same one too."""
    partial = tus.upload_id(tus.create(b"ab", upload_length="2", upload_concat="partial"))
    concat = "final;" + " ".join([f"/uploads/{partial}"] * 100)
    created = tus.create(upload_concat=concat, upload_metadata=metadata(filename="hundred"))
    assert tus.head(tus.upload_id(created)).headers["upload-offset"] == "200"
    assert stack.request("GET /download", query={"filename": "hundred"}).body == b"ab" * 100


def test_complete_upload_stays_and_takes_no_more_bytes(tus: ProtocolClient) -> None:
    """HEAD of a complete upload has its length as the offset, and another PATCH is a 409."""
    upload_id = tus.upload_id(tus.create(b"12345", upload_length="5"))
    for _ in range(2):
        found = tus.head(upload_id)
        assert (found.status, found.headers["upload-offset"], found.headers["upload-length"]) == (200, "5", "5")
        assert tus.patch(upload_id, 5, b"6").status == 409


def test_upload_continues_with_another_token(tus: ProtocolClient) -> None:
    """An upload belongs to the namespace: it outlives the token that created it."""
    upload_id = tus.upload_id(tus.create(b"12", upload_length="5"))
    tus.options = {"token": tus.stack.token("demo", "files:write")}
    assert tus.patch(upload_id, 2, b"345").status == 204


@pytest.mark.parametrize("offset", ["NaN", "-1", "1.0", " ", "+0", "0,0"])
def test_offset_that_is_no_number_is_rejected(tus: ProtocolClient, offset: str) -> None:
    """Upload-Offset is a non-negative integer in decimal digits, and an upload is never moved by anything else."""
    upload_id = tus.upload_id(tus.create(upload_length="5"))
    rejected = tus.patch(upload_id, None, b"12", upload_offset=offset)
    assert (rejected.status, rejected.code) == (400, "malformed_header")
    assert tus.head(upload_id).headers["upload-offset"] == "0"


@pytest.mark.parametrize("length", [None, 0, 1, 5 * MIB, 50_000 * MIB + 1, MAX_LENGTH])
def test_layout_of_any_length_fits_a_multipart_upload(length: int | None) -> None:
    """No upload needs more parts than S3 allows, also if its length is not known at first."""
    part_size = plan_layout(length).part_size
    assert part_size >= 5 * MIB
    assert part_size * MAX_PARTS >= (MAX_LENGTH if length is None else length)


def test_whole_file_repeated_after_its_upload_was_deleted_has_an_upload(tus: ProtocolClient) -> None:
    """The URL in the response is that of an upload, although its client had deleted it after the first creation."""
    upload_id = tus.upload_id(tus.create(b"12", upload_length="2", upload_metadata=metadata(filename="again")))
    assert (tus.delete(upload_id).status, tus.head(upload_id).status) == (204, 404)
    repeated = tus.create(b"12", upload_length="2", upload_metadata=metadata(filename="again"))
    found = tus.head(tus.upload_id(repeated))
    assert (repeated.status, found.status, found.headers["upload-offset"]) == (201, 200, "2")
