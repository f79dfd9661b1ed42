"""Parsing of bodies and checksums."""

from __future__ import annotations

import base64

import pytest

from ferry.errors import ChecksumUnsupported, FerryError, InvalidField, MalformedBody
from ferry.http import bodies
from ferry.http.checksums import parse_chunk_digest, parse_content_digest, parse_crc32c
from ferry.http.request import Request
from ferry.http.request_errors import BodyTooLarge, UnsupportedMediaType
from ferry.rules.digests import Digest


def request(body: bytes | str, *, encoded: bool = False, **headers: str) -> Request:
    text = base64.b64encode(body).decode() if isinstance(body, bytes) and encoded else body
    content = text if isinstance(text, str) else text.decode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST /x", "id", {}, {}, named, content, encoded)


def test_body_bytes_round_trip() -> None:
    """A base64 body decodes to the client's bytes, and a text body to its UTF-8."""
    everything = bytes(range(256))
    assert bodies.read_bytes(request(everything, encoded=True), 256) == everything
    assert bodies.read_bytes(request("é"), 2) == "é".encode()


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
def test_invalid_body_is_rejected(given: Request, error: type[FerryError]) -> None:
    """A body is rejected if it exceeds the limit (here 10 bytes), is not decodable, or is compressed."""
    with pytest.raises(error):
        bodies.read_bytes(given, 10)


def test_valid_json_is_parsed() -> None:
    """Escaped surrogate pairs are characters, and integers of 32 digits are integers."""
    assert bodies.parse_json('{"a": "\\ud83d\\ude00", "b": [1.5, true, null], "c": 12345678901234567890}') == {
        "a": "😀",
        "b": [1.5, True, None],
        "c": 12345678901234567890,
    }


@pytest.mark.parametrize(
    "inner", ['"\\ud800"', '["\\udc00"]', '{"\\uDBFF": 1}', '{"a": {"a": 1, "a": 2}}', "-Infinity"]
)
def test_nested_invalid_json_is_rejected(inner: str) -> None:
    """Lone surrogates, duplicate keys and values that are no JSON are rejected at any depth."""
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
def test_content_digest_is_parsed(header: str | None, expected: list[str]) -> None:
    """Every supported digest counts, of duplicates the last (RFC 8941 section 3.2); others beside them are ignored."""
    digests = parse_content_digest(header)
    assert [digest.algorithm for digest in digests] == expected
    assert all(len(digest.value) == {"md5": 16, "sha256": 32}[digest.algorithm] for digest in digests)


@pytest.mark.parametrize("header", ["unixsum=:AA==:", "sha=:AA==:, crc32c=:AAAAAA==:"])
def test_content_digest_without_known_algorithm_is_rejected(header: str) -> None:
    """A header without a supported algorithm is rejected: the client expects its bytes to be verified."""
    with pytest.raises(ChecksumUnsupported):
        parse_content_digest(header)


@pytest.mark.parametrize(
    "header",
    ["", ",", "md5", "md5=abc", "md5=:", "md5=:A:", f"md5=:{MD5}:,", f"md5=:{MD5}: x", "MD5=:AA==:", "md5=:é:"],
)
def test_malformed_content_digest_is_rejected(header: str) -> None:
    """A malformed header is rejected, not ignored."""
    with pytest.raises(InvalidField):
        parse_content_digest(header)


def test_json_checksums_are_parsed() -> None:
    """A chunk has several algorithms, a part and a file have CRC32C; other algorithms and values are rejected."""
    assert parse_chunk_digest("md5", MD5) == Digest("md5", bytes(16))
    assert parse_crc32c("crc32c", "AAAAAQ==") == 1
    for algorithm in ("sha512", "MD5", "", "crc64nvme"):
        with pytest.raises(ChecksumUnsupported):
            parse_chunk_digest(algorithm, MD5)
    with pytest.raises(ChecksumUnsupported):
        parse_crc32c("crc32", "AAAAAQ==")
    for value in ("", "AAAA", "AAAAAQ", "AAAAAQ==\n", "é"):
        with pytest.raises(InvalidField):
            parse_crc32c("crc32c", value)
