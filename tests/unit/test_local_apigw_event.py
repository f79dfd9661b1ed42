"""The event of a request, in API Gateway's payload format 2.0."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from dev.local.apigw_event import GatewayRequest, build_event, encode_event, is_text_type
from dev.local.routing import Route, RouteMatch


def request(
    path: bytes = b"/status", query: bytes = b"", headers: tuple[tuple[bytes, bytes], ...] = (), body: bytes = b""
) -> GatewayRequest:
    return GatewayRequest("GET", path, query, ((b"host", b"127.0.0.1:3000"), *headers), body, "127.0.0.1")


def event_for(gateway_request: GatewayRequest, **parameters: str) -> dict[str, Any]:
    return build_event(
        gateway_request,
        RouteMatch(Route("GET", "/status", "F"), parameters),
        request_id="r1",
        now_seconds=1_700_000_000.5,
    )


def test_build_event_request_context() -> None:
    """requestContext has every member of format 2.0, with the time as text and as epoch milliseconds."""
    event = event_for(request(headers=((b"User-Agent", b"curl"),)))
    context = event["requestContext"]
    assert event["version"] == "2.0"
    assert event["routeKey"] == context["routeKey"] == "GET /status"
    assert context["stage"] == "$default"
    assert context["requestId"] == "r1"
    assert context["time"] == "14/Nov/2023:22:13:20 +0000"
    assert context["timeEpoch"] == 1_700_000_000_500
    assert context["domainName"] == "127.0.0.1"
    assert context["http"] == {
        "method": "GET",
        "path": "/status",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "curl",
    }


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        (b"/status/a%20b", "/status/a b"),
        (b"/status/a+b", "/status/a+b"),
        (b"/status/%2525", "/status/%25"),
        (b"/status/%E2%9C%93", "/status/✓"),
        ("/status/é".encode(), "/status/é"),
        (b"/status/a%3Fb", "/status/a"),
        (b"/status/%zz", "/status/%zz"),
        (b"/status/%2e%2e", "/status/.."),
    ],
)
def test_raw_path_is_decoded_once(raw: bytes, decoded: str) -> None:
    """rawPath is decoded once, and cut at a `?` that the decoding yields."""
    event = event_for(request(raw))
    assert event["rawPath"] == decoded
    assert event["requestContext"]["http"]["path"] == decoded


@pytest.mark.parametrize(
    ("raw", "parameters"),
    [
        (b"", None),
        (b"a=1", {"a": "1"}),
        (b"a=1&a=2&b=", {"a": "1,2", "b": ""}),
        (b"a=x%20y+z&flag", {"a": "x y z", "flag": ""}),
        (b"a=%C3%A9%2526", {"a": "é%26"}),
    ],
)
def test_query_is_raw_and_decoded(raw: bytes, parameters: dict[str, str] | None) -> None:
    """The query is there raw, and decoded with duplicates joined. Without a query there is no queryStringParameters."""
    event = event_for(request(query=raw))
    assert event["rawQueryString"] == raw.decode()
    assert event.get("queryStringParameters") == parameters


def test_headers_are_normalized() -> None:
    """Names are in lower case, duplicates joined by commas, cookies separate, and hop-by-hop headers removed."""
    event = event_for(
        request(
            headers=(
                (b"X-A", b"1"),
                (b"x-a", b"2"),
                (b"Cookie", b"a=b; c=d"),
                (b"cookie", b"e=f"),
                (b"Connection", b"keep-alive"),
                (b"Expect", b"100-continue"),
                (b"X-Name", "é".encode()),
                (b"X-Old", "é".encode("latin-1")),
            )
        )
    )
    headers = event["headers"]
    assert headers["x-a"] == "1,2"
    assert headers["x-name"] == headers["x-old"] == "é"
    assert event["cookies"] == ["a=b", "c=d", "e=f"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-port"] == "3000"
    assert headers["x-forwarded-proto"] == "http"
    assert not {"cookie", "connection", "expect"} & set(headers)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/csv", True),
        ("text/plain; charset=utf-8", True),
        ("text/plain;charset=UTF-8", True),
        ("text/plain; charset=iso-8859-1", False),
        ("text/csv; charset=utf-8", False),
        ("application/xml; charset=utf-8", False),
        ("application/json; charset=utf-8; a=b", False),
        ("application/xml", True),
        ("application/javascript", True),
        ("application/octet-stream", False),
        ("application/x-www-form-urlencoded", False),
        ("application/problem+json", False),
        ("image/png", False),
        ("", False),
    ],
)
def test_body_text_or_base64_by_content_type(kind: str, text: bool) -> None:
    """JSON, XML, JavaScript and text are text. Forms, other types, most parameters and no type are base64."""
    assert is_text_type(kind) is text
    body = '{"é": 1}'.encode()
    event = event_for(request(headers=((b"Content-Type", kind.encode()),) if kind else (), body=body))
    assert event["isBase64Encoded"] is not text
    assert event["body"] == (body.decode() if text else base64.b64encode(body).decode())
    assert event["headers"]["content-length"] == str(len(body))


def test_absent_body_and_parameters_are_omitted() -> None:
    """Without a body, cookies, a query or path parameters their members are absent."""
    event = event_for(request())
    assert event["isBase64Encoded"] is False
    assert not {"body", "cookies", "queryStringParameters", "pathParameters"} & set(event)


def test_event_of_route_has_path_parameters() -> None:
    """The event has the route's path parameters."""
    assert event_for(request(), filename="a b")["pathParameters"] == {"filename": "a b"}


def test_head_size_counts_request_line_and_headers() -> None:
    """The size is that of the request line and the headers as sent, line ends included."""
    wire = b"GET /a?b=c HTTP/1.1\r\nhost: h\r\nx-y: 12\r\n\r\n"
    given = GatewayRequest("GET", b"/a", b"b=c", ((b"host", b"h"), (b"x-y", b"12")), b"", "127.0.0.1")
    assert given.head_size_bytes() == len(wire)


@pytest.mark.parametrize("content_type", [b"application/json", b"application/octet-stream", b"text/plain; charset=x"])
@pytest.mark.parametrize("body", [b"", b"{}", bytes(range(256)), 'é"\\'.encode()])
def test_encode_event_is_the_json_text_of_the_event(content_type: bytes, body: bytes) -> None:
    """The pieces, with the body apart, are the same event as the one that is built whole."""
    gateway_request = request(headers=((b"content-type", content_type), (b"x-amzn-trace-id", b"Root=1")), body=body)
    match = RouteMatch(Route("GET", "/status", "F"), {})
    encoded = encode_event(gateway_request, match, request_id="r1")
    event = json.loads(encoded if isinstance(encoded, bytes) else b"".join(encoded))
    expected = build_event(gateway_request, match, request_id="r1")
    for name in ("time", "timeEpoch"):
        del event["requestContext"][name], expected["requestContext"][name]
    assert event == expected
