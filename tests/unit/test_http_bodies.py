"""Bodies and checksums as clients write them."""

from __future__ import annotations

import base64

import pytest

from ferry.digests import Digest
from ferry.errors import ChecksumUnsupported, FerryError, InvalidField, MalformedBody
from ferry.http import bodies
from ferry.http.checksums import chunk_digest, content_digests, crc32c
from ferry.http.refusals import BodyTooLarge, UnsupportedMediaType
from ferry.http.request import Request


def request(body: bytes | str, *, encoded: bool = False, **headers: str) -> Request:
    text = base64.b64encode(body).decode() if isinstance(body, bytes) and encoded else body
    content = text if isinstance(text, str) else text.decode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST /x", "id", {}, {}, named, content, encoded)


def test_bytes_come_out_as_they_went_in() -> None:
    """From base64 exactly; text as its UTF-8."""
    everything = bytes(range(256))
    assert bodies.raw(request(everything, encoded=True), 256) == everything
    assert bodies.raw(request("é"), 2) == "é".encode()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (request(bytes(11), encoded=True), BodyTooLarge),
        (request(bytes(12), encoded=True), BodyTooLarge),
        (request("x" * 11), BodyTooLarge),
        (request("é" * 6), BodyTooLarge),
        (request("x" * 1000), BodyTooLarge),
        (Request("POST /x", "id", {}, {}, {}, "not base64!", True), MalformedBody),
        (request("\ud800"), MalformedBody),
        (request("x", content_encoding="gzip"), UnsupportedMediaType),
    ],
)
def test_what_is_no_body(given: Request, error: type[FerryError]) -> None:
    """Over the limit (here 10 bytes) by one; garbled on the way; compressed."""
    with pytest.raises(error):
        bodies.raw(given, 10)


def test_json_keeps_what_is_valid() -> None:
    """Escaped pairs of surrogates are characters; big but bounded integers are integers."""
    assert bodies.parse_json('{"a": "\\ud83d\\ude00", "b": [1.5, true, null], "c": 12345678901234567890}') == {
        "a": "😀",
        "b": [1.5, True, None],
        "c": 12345678901234567890,
    }


@pytest.mark.parametrize(
    "inner", ['"\\ud800"', '["\\udc00"]', '{"\\uDBFF": 1}', '{"a": {"a": 1, "a": 2}}', "-Infinity"]
)
def test_json_is_strict_at_any_depth(inner: str) -> None:
    """Half surrogates, duplicates and what is no JSON, wherever they hide."""
    with pytest.raises(MalformedBody):
        bodies.parse_json(f'{{"x": [{inner}]}}')


MD5 = base64.b64encode(bytes(16)).decode()
SHA = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, []),
        (f"md5=:{MD5}:", ["md5"]),
        (f"sha-256=:{SHA}:, md5=:{MD5}:", ["sha256", "md5"]),
        (f"  sha-256=:{SHA}: ,\tunixsum=:AA==:  ", ["sha256"]),
        (f"sha-256=:{SHA}:;p=1;q", ["sha256"]),
        (f"sha-256=:{MD5}:, sha-256=:{SHA}:", ["sha256"]),
    ],
)
def test_content_digest(header: str | None, expected: list[str]) -> None:
    """All that are known count, of duplicates the last (RFC 8941 section 3.2); others beside them are passed over."""
    digests = content_digests(header)
    assert [digest.algorithm for digest in digests] == expected
    assert all(len(digest.value) == {"md5": 16, "sha256": 32}[digest.algorithm] for digest in digests)


@pytest.mark.parametrize("header", ["unixsum=:AA==:", "sha=:AA==:, crc32c=:AAAAAA==:"])
def test_content_digest_with_nothing_known(header: str) -> None:
    """Unchecked bytes would be a lie."""
    with pytest.raises(ChecksumUnsupported):
        content_digests(header)


@pytest.mark.parametrize(
    "header",
    ["", ",", "md5", "md5=abc", "md5=:", "md5=:A:", f"md5=:{MD5}:,", f"md5=:{MD5}: x", "MD5=:AA==:", "md5=:é:"],
)
def test_content_digest_malformed(header: str) -> None:
    """Neither ignored nor guessed at."""
    with pytest.raises(InvalidField):
        content_digests(header)


def test_json_checksums() -> None:
    """Raw values; algorithms by where they may be used."""
    assert chunk_digest("md5", MD5) == Digest("md5", bytes(16))
    assert crc32c("crc32c", "AAAAAQ==") == 1
    for algorithm in ("sha512", "MD5", "", "crc64nvme"):
        with pytest.raises(ChecksumUnsupported):
            chunk_digest(algorithm, MD5)
    with pytest.raises(ChecksumUnsupported):
        crc32c("crc32", "AAAAAQ==")
    for value in ("", "AAAA", "AAAAAQ", "AAAAAQ==\n", "é"):
        with pytest.raises(InvalidField):
            crc32c("crc32c", value)
