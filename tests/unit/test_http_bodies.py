"""Parsing of bodies and checksums."""

from __future__ import annotations

import base64

import pytest

from ferry.errors import ChecksumUnsupported, FerryError, InvalidField, MalformedBody
from ferry.http import bodies
from ferry.http.checksums import parse_chunk_digest, parse_content_digest, parse_crc32c, parse_digest_headers
from ferry.http.request import Request
from ferry.http.request_errors import BodyTooLarge, UnsupportedMediaType
from ferry.rules.canonical_base64 import decode_canonical
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
        ("crc32c=:AAAAAQ==:", ["crc32c"]),
    ],
)
def test_content_digest_is_parsed(header: str | None, expected: list[str]) -> None:
    """Every supported digest counts, of duplicates the last (RFC 8941 section 3.2); others beside them are ignored."""
    digests = parse_content_digest(header)
    assert [digest.algorithm for digest in digests] == expected
    assert all(len(digest.value) == {"crc32c": 4, "md5": 16, "sha256": 32}[digest.algorithm] for digest in digests)


@pytest.mark.parametrize("header", ["unixsum=:AA==:", "sha=:AA==:, crc32=:AAAAAA==:"])
def test_content_digest_without_known_algorithm_is_rejected(header: str) -> None:
    """A header without a supported algorithm is rejected: the client expects its bytes to be verified."""
    with pytest.raises(ChecksumUnsupported):
        parse_content_digest(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        "md5",
        "md5=abc",
        "md5=:",
        "md5=:A:",
        f"md5=:{MD5}:,",
        f"md5=:{MD5}: x",
        "MD5=:AA==:",
        "md5=:é:",
        "md5=:AB==:",
    ],
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


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, []),
        ({"content-md5": f" {MD5} "}, ["md5"]),
        ({"digest": f"SHA-256={SHA}, unixsum=1,md5={MD5}"}, ["sha256", "md5"]),
        ({"x-amz-checksum-crc32": "AAAAAQ==", "x-amz-checksum-crc32c": "AAAAAQ=="}, ["crc32", "crc32c"]),
        ({"x-amz-checksum-sha256": SHA, "content-digest": f"md5=:{MD5}:"}, ["md5", "sha256"]),
    ],
)
def test_digest_headers_are_parsed(headers: dict[str, str], expected: list[str]) -> None:
    """Every header that carries a digest of the content counts."""
    assert [digest.algorithm for digest in parse_digest_headers(headers)] == expected


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"content-md5": MD5[:-1]}, InvalidField),
        ({"digest": ""}, InvalidField),
        ({"digest": "sha-256"}, InvalidField),
        ({"digest": "sha-256=x"}, InvalidField),
        ({"digest": "unixsum=1"}, ChecksumUnsupported),
        ({"x-amz-checksum-crc32c": "x"}, InvalidField),
        ({"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}, ChecksumUnsupported),
        ({"x-amz-checksum-sha1": "AAAA"}, ChecksumUnsupported),
    ],
)
def test_invalid_digest_headers_are_rejected(headers: dict[str, str], error: type[FerryError]) -> None:
    """A header that cannot be verified is rejected, not ignored."""
    with pytest.raises(error):
        parse_digest_headers(headers)


def test_canonical_base64_round_trips() -> None:
    """Every encoding decodes to its bytes, also a long one, which another decoder takes."""
    for length in (*range(9), *range(30_000, 30_009)):
        data = (bytes(range(250, 0, -1)) * 121)[:length]
        assert decode_canonical(base64.b64encode(data).decode()) == data


OTHER_BASE64 = ["A", "AA", "AA=", "AA===", "AAAA=", "AAAA====", "=", "====", "AB==", "AAB=", "AA==AA==", "AAAAAB=="]
OTHER_BASE64 += ["AA==\n", " AA==", "A A==", "AA\n==", "-_-_", "é", "AA==x", "AA=A"]


@pytest.mark.parametrize("text", OTHER_BASE64)
def test_other_base64_is_rejected(text: str) -> None:
    """White space, wrong padding, padded bits that are not zero and the URL alphabet are no canonical base64."""
    for long in ("", "QUJD" * 10_000):
        with pytest.raises(ValueError, match="base64"):
            decode_canonical(long + text)


@pytest.mark.parametrize("position", [0, 1, 15_000, 39_990, 39_998])
@pytest.mark.parametrize("character", ["*", "-", "_", "=", " ", "\n", "\x00", "\ud800", "é"])
def test_wrong_character_anywhere_in_long_base64_is_rejected(position: int, character: str) -> None:
    """The decoder of long bodies finds a character that is not of the alphabet wherever it is."""
    text = "QUJD" * 10_000
    with pytest.raises(ValueError, match="base64"):
        decode_canonical(text[:position] + character + text[position + 1 :])


@pytest.mark.parametrize("depth", [100_000, 1_500_000])
@pytest.mark.parametrize("pattern", ["[", '{"a":', '[{"a":'])
def test_deeply_nested_json_is_rejected(pattern: str, depth: int) -> None:
    """Nesting that exceeds the parser's depth is an invalid body, closed or not."""
    closing = {"[": "]", '{"a":': "}", '[{"a":': "}]"}[pattern]
    for document in (pattern * depth, pattern * depth + "1" + closing * depth):
        with pytest.raises(MalformedBody):
            bodies.parse_json(document)


def test_media_type_in_error_is_ascii() -> None:
    """A type that the response cannot encode is shown escaped."""
    error = bodies.unsupported_media_type(request("x", content_type="text/\ud800é"), "Send JSON.")
    assert error.detail.isascii()
