"""Attacks by names, types, encodings and hostile JSON. Each is rejected, or does no harm."""

from __future__ import annotations

import base64
import gzip
import json
import unicodedata
from typing import Any

import pytest

from tests.integration.events import build_event
from tests.integration.stack import Stack, to_result

JSON_HEADERS = {"content-type": "application/json"}
OCTET_STREAM_HEADERS = {"content-type": "application/octet-stream"}
JSON_ROUTES = ["POST /upload/start", "POST /upload/chunk", "POST /upload/parts", "POST /upload/complete"]
PADDING_LENGTH = 60_000
"""Bytes that every route reads."""

HOSTILE_JSON = {
    "nothing": b"",
    "white space": b" ",
    "cut off": b"{",
    "a member twice": b'{"filename": "a", "filename": "b"}',
    "a member twice, deep inside": b'{"metadata": {"a": "1", "\\u0061": "2"}}',
    "not a number": b'{"size": NaN}',
    "infinity": b'{"size": Infinity}',
    "more than a float holds": b'{"size": 1e999}',
    "an integer of 5,000 digits": b'{"size": ' + b"9" * 5_000 + b"}",
    "an integer of 50,000 digits": b'{"size": ' + b"9" * 50_000 + b"}",
    "a lone surrogate": b'{"filename": "\\ud800"}',
    "a lone surrogate in a key": b'{"\\udfff": 1}',
    "UTF-16": b"\xff\xfe{}",
    "no UTF-8": b'{"filename": "\xff"}',
    "overlong UTF-8": b'{"filename": "\xc0\xaf"}',
    "a byte order mark": b'\xef\xbb\xbf{"filename": "bom"}',
    "more after the end": b'{"filename": "a"} x',
    "arrays in arrays": b"[" * 50_000,
    "arrays in arrays, closed": b"[" * 25_000 + b"]" * 25_000,
    "objects in objects": b'{"a":' * 9_000,
    "objects in objects, closed": b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
    "single quotes": b"{'filename': 'a'}",
    "a control character": b'{"filename": "tab\t"}',
    "a comment": b'{"filename": "a" /* b */}',
    "a comma too many": b'{"filename": "a",}',
}


@pytest.mark.parametrize("key", JSON_ROUTES)
@pytest.mark.parametrize("body", HOSTILE_JSON.values(), ids=HOSTILE_JSON)
def test_hostile_json_is_rejected(stack: Stack, key: str, body: bytes) -> None:
    """JSON that parsers read differently, or cannot read, is a 400, with and without a Content-Type."""
    for headers in ({}, JSON_HEADERS):
        got = stack.request(key, body=body, headers=headers if body.isascii() else {})
        assert (got.status, got.code) == (400, "malformed_body")


JSON_BOMBS = {
    "many arrays": b"[" + b"[]," * (PADDING_LENGTH // 3 - 2) + b"[]]",
    "many objects": b"[" + b"{}," * (PADDING_LENGTH // 3 - 2) + b"{}]",
    "many members": json.dumps({f"m{number}": 1 for number in range(4_000)}).encode(),
    "many wrong parts": json.dumps({"filename": "x", "parts": [{"part_number": "x"}] * 1_500}).encode(),
    "one long name": json.dumps({"x" * (PADDING_LENGTH - 20): 1}).encode(),
    "combining marks": json.dumps({"filename": "a" + "\u0301\u0316" * 9_000}, ensure_ascii=False).encode(),
}


@pytest.mark.parametrize("key", JSON_ROUTES)
@pytest.mark.parametrize("body", JSON_BOMBS.values(), ids=JSON_BOMBS)
def test_json_bomb_gets_short_error(stack: Stack, key: str, body: bytes) -> None:
    """Valid JSON with far more members than any request has gets a response that does not grow with it."""
    got = stack.request(key, body=body)
    assert got.status == 422
    assert len(got.body) < 6_000


@pytest.mark.slow
def test_json_bomb_of_chunk_size_is_rejected(stack: Stack) -> None:
    """The route that reads megabytes of JSON rejects those that are no chunk."""
    for piece in (b"[],", b"{},", b'"",', b"1,"):
        body = b'{"filename":"x","chunk_index":1,"data":[' + piece * (4_000_000 // len(piece)) + b"0]}"
        got = stack.request("POST /upload/chunk", body=body)
        assert got.status in (400, 413, 422)
        assert len(got.body) < 6_000


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "identity, gzip", "x"])
@pytest.mark.parametrize("key", JSON_ROUTES)
def test_content_encoding_is_rejected(stack: Stack, key: str, encoding: str) -> None:
    """A compressed body is a 415, as JSON and as raw bytes: nothing is decompressed."""
    bomb = gzip.compress(bytes(1_000_000))
    for kind in (JSON_HEADERS, OCTET_STREAM_HEADERS):
        is_raw_chunk = kind is OCTET_STREAM_HEADERS and key.endswith("chunk")
        got = stack.request(
            key,
            query={"filename": "x", "chunk_index": "1"} if is_raw_chunk else {},
            headers={**kind, "content-encoding": encoding},
            body=b"{}" if kind is JSON_HEADERS else bomb,
        )
        assert (got.status, got.code) == (415, "unsupported_media_type")


NAMES = {
    "NUL": "a\0b",
    "a line end": "a\r\nset-cookie: b=c",
    "a line end of Unicode": "a\x85b",
    "escape sequences": "a\x1b[31mb",
    "delete": "a\x7fb",
    "a slash first": "/a",
    "a slash last": "a/",
    "two slashes": "a//b",
    "up in a path": "a/../b",
    "white space before a slash": "a /b",
    "a backslash": "a\\b",
    "up": "..",
    "here": ".",
    "nothing": "",
    "white space at an end": "a\u00a0",
    "white space of another kind": "\u2003a",
    "256 bytes in a segment": "x" * 256,
    "256 bytes in 128 letters": "a/" + "é" * 128,
    "1,001 bytes": "a/" * 500 + "b",
    "128 marks that cannot be composed": "a" + "\u0330" * 128,
    "half a megabyte of marks": "a" + "\u0301\u0316" * 20_000,
}
NAME_ROUTES = ["GET /download", "GET /status", "DELETE /files", "DELETE /upload", "GET /download/{filename+}"]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_hostile_name_is_rejected(stack: Stack, name: str) -> None:
    """An invalid name is rejected in a path, in a query and in a body."""
    for key in NAME_ROUTES:
        place: dict[str, Any] = {"filename": name} if "{filename+}" in key else {"query": {"filename": name}}
        assert (got := stack.request(key, **place)).status == 422, key
        assert got.code == "invalid_filename"
    body = json.dumps({"filename": name, "size": 1}, ensure_ascii=False).encode()
    if len(body) < PADDING_LENGTH:
        got = stack.request("POST /upload/start", body=body)
        assert got.code == (
            "malformed_body" if any(c < " " for c in name) and b"\\" not in body else "invalid_filename"
        )


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_normalization_forms_name_one_file(stack: Stack, form: Any) -> None:
    """Canonically equal names are one file; names that only look alike are not."""
    name = "Ångström ﬁle ①.bin"
    if form == "NFC":
        stack.upload(unicodedata.normalize("NFD", name), b"one")
    written = unicodedata.normalize(form, name)
    got = stack.request("GET /download", query={"filename": written})
    same = unicodedata.normalize("NFC", written) == unicodedata.normalize("NFC", name)
    assert got.status == (200 if same else 404)


LOOKALIKE_NAMES = [("pay.txt", "p\u0430y.txt"), ("a.txt", "a\u200b.txt"), ("K", "\u212a-not"), ("a b", "a\u2028b")]


@pytest.mark.parametrize(("name", "alike"), LOOKALIKE_NAMES)
def test_lookalike_name_is_another_file(stack: Stack, name: str, alike: str) -> None:
    """Names are equal only if Unicode defines them as the same text."""
    stack.upload(name, b"mine")
    assert stack.request("GET /download", query={"filename": alike}).status == 404


HEADER_INJECTIONS = [
    "text/plain\r\nx-evil: 1",
    "text/plain\nx-evil: 1",
    "text/plain\0",
    'text/plain; a="\r\nx: y"',
    "text/plain;\u2028x=y",
]


@pytest.mark.parametrize("value", HEADER_INJECTIONS)
def test_header_injection_is_rejected(stack: Stack, value: str) -> None:
    """A media type with a line end is rejected, and no request header is returned in a response."""
    started = stack.post_json("POST /upload/start", {"filename": "injected", "size": 1, "content_type": value})
    assert (started.status, started.json["errors"][0]["loc"]) == (422, ["content_type"])
    file = stack.upload(f"header {abs(hash(value))}", b"body")
    headers = {"range": f"bytes=0-1{value}", "if-range": value, "if-none-match": f'"{value}"', "if-match": "*"}
    got = stack.request("GET /download/partial", query={"filename": file["filename"]}, headers=headers)
    assert got.status in (200, 412)
    for name, text in got.headers.items():
        assert "evil" not in name + text
        assert not {"\r", "\n", "\0"} & set(name + text)


ACTIVE_CONTENT_TYPES = [
    "text/html",
    "text/html; charset=utf-7",
    "application/xhtml+xml",
    "image/svg+xml",
    "text/xml",
    "application/xml",
    "application/javascript",
    "text/javascript",
    "application/pdf",
    "application/x-shockwave-flash",
    "multipart/x-mixed-replace; boundary=x",
    "message/rfc822",
    "TEXT/HTML",
]


@pytest.mark.parametrize("content_type", ACTIVE_CONTENT_TYPES)
def test_active_content_type_is_served_inert(stack: Stack, content_type: str) -> None:
    """The type is kept, and the browser saves the file: attachment, nosniff, a sandbox."""
    name = f"page {content_type.replace('/', ' ')}"
    stack.upload(name, b"<script>alert(1)</script>", content_type=content_type)
    for key in ("GET /download", "HEAD /download", "GET /download/partial"):
        got = stack.request(key, query={"filename": name}, headers={"range": "bytes=0-5"})
        assert got.headers["content-type"] == content_type
        assert got.headers["content-disposition"].startswith("attachment;")
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_lone_surrogate_in_query_is_rejected(stack: Stack) -> None:
    """A lone surrogate in any text parameter is a 4xx."""
    routes = {
        "files": "GET /files",
        "download": "GET /download",
        "upload": "DELETE /upload",
        "cleanup": "DELETE /cleanup",
    }
    for function, key in routes.items():
        for parameter in ("filename", "prefix", "cursor", "upload_id"):
            event = build_event(key, headers={"authorization": f"Bearer {stack.token()}"})
            event["queryStringParameters"] = {"filename": "fine", parameter: "\ud800"}
            assert to_result(stack.invoke(function, event)).status in (200, 404, 422), (key, parameter)


@pytest.mark.parametrize(
    "data", ["é", "====", "A", "AA=A", "AAAA\n", " AAAA", "-_-_", "AB==", "AAB=", base64.b64encode(b"x").decode() + "="]
)
def test_ambiguous_base64_is_rejected(stack: Stack, data: str) -> None:
    """Base64 that decoders read differently is a 422."""
    got = stack.post_json("POST /upload/chunk", {"filename": "x", "chunk_index": 1, "data": data})
    assert (got.status, got.code) == (422, "validation_failed")
