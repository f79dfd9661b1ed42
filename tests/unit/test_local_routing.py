"""The choice of a route, as an HTTP API makes it."""

from __future__ import annotations

import pytest

from dev.local.routing import Route, match_route

ROUTES = [
    Route("GET", "/download/{filename+}", "one"),
    Route("GET", "/download/partial", "two"),
    Route("GET", "/download/partial/{filename+}", "three"),
    Route("DELETE", "/upload/{filename+}", "four"),
    Route("POST", "/upload/start", "five"),
    Route("ANY", "/any", "six"),
    Route("GET", "/any", "seven"),
    Route("GET", "/files/{proxy+}", "eight"),
    Route("GET", "/files/{a}/x", "nine"),
    Route("GET", "/one/{segment}", "ten"),
]


@pytest.mark.parametrize(
    ("method", "path", "function", "parameters"),
    [
        ("GET", "/download/a", "one", {"filename": "a"}),
        ("GET", "/download/partial", "two", {}),
        ("GET", "/download/a/b//c/", "one", {"filename": "a/b//c/"}),
        ("GET", "/download/partial/", "one", {"filename": "partial/"}),
        ("GET", "/download/partialx/a", "one", {"filename": "partialx/a"}),
        ("GET", "/download/partial/a", "three", {"filename": "a"}),
        ("GET", "/download/partial/a/b", "three", {"filename": "a/b"}),
        ("GET", "/download/%70artial/a%2Fb", "three", {"filename": "a/b"}),
        ("GET", "/download/partial%2Fa", "one", {"filename": "partial/a"}),
        ("GET", "/download/partial/partial", "three", {"filename": "partial"}),
        ("GET", "/download/a%2Fb%2525+c", "one", {"filename": "a/b%25+c"}),
        ("GET", "/download/%F0%9F%9A%A2", "one", {"filename": "🚢"}),
        ("DELETE", "/upload/start", "four", {"filename": "start"}),
        ("POST", "/upload/start", "five", {}),
        ("POST", "/any", "six", {}),
        ("GET", "/any", "seven", {}),
        ("GET", "/files/a/b", "eight", {"proxy": "a/b"}),
        ("GET", "/files/a/x", "nine", {"a": "a"}),
    ],
)
def test_match_route_prefers_most_specific(method: str, path: str, function: str, parameters: dict[str, str]) -> None:
    """Static ranks before `{param}` before `{proxy+}`, a method before ANY; a parameter is decoded once."""
    match = match_route(ROUTES, method, path)
    assert match is not None
    assert (match.route.function, match.parameters) == (function, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/download"),
        ("GET", "/download/"),
        ("GET", "/one/a/"),
        ("GET", "/one/a/b"),
        ("GET", "//download/a"),
        ("HEAD", "/download/a"),
        ("PUT", "/upload/start"),
        ("GET", "/files/"),
    ],
)
def test_match_route_without_match_returns_none(method: str, path: str) -> None:
    """An additional slash, a missing segment or another method matches no route."""
    assert match_route(ROUTES, method, path) is None


def test_match_route_default_catches_unmatched() -> None:
    """`$default` matches what no other route does."""
    match = match_route([*ROUTES, Route("ANY", "$default", "rest")], "GET", "/nowhere")
    assert match is not None
    assert (match.route.function, match.route.key) == ("rest", "$default")
