"""The routes of the template are those of the HTTP contract, each in the function of its duty."""

from __future__ import annotations

from typing import Any

import pytest

ROUTES = {
    "AuthFunction": {
        "POST /auth/token",
        "GET /.well-known/jwks.json",
        "GET /openapi.json",
        "GET /health",
    },
    "UploadFunction": {
        "POST /upload/start",
        "POST /upload/chunk",
        "POST /upload/parts",
        "POST /upload/complete",
        "DELETE /upload/{filename}",
        "DELETE /upload",
        "DELETE /files/{filename}",
        "DELETE /files",
    },
    "DownloadFunction": {
        f"{method} {path}"
        for method in ("GET", "HEAD")
        for path in ("/download/{filename}", "/download", "/download/partial/{filename}", "/download/partial")
    },
    "StatusFunction": {
        "GET /status/{filename}",
        "GET /status",
        "GET /files",
    },
    "CleanupFunction": {
        "DELETE /cleanup",
    },
}
GATEWAY_TIMEOUT_SECONDS = 30
"""How long API Gateway waits for a function."""


def http_events(properties: Any) -> list[Any]:
    return [event["Properties"] for event in properties["Events"].values() if event["Type"] == "HttpApi"]


def test_functions_have_expected_routes(functions: dict[str, Any]) -> None:
    """Method and path of every HttpApi event, function by function."""
    found = {
        name: {f"{event['Method']} {event['Path']}" for event in http_events(properties)}
        for name, properties in functions.items()
    }
    assert found == ROUTES


def test_routes_are_unique(functions: dict[str, Any]) -> None:
    """Two events of one route would be one route with two permissions."""
    routes = [
        (event["Method"], event["Path"]) for properties in functions.values() for event in http_events(properties)
    ]
    assert len(routes) == len(set(routes))


def test_routes_belong_to_one_api(functions: dict[str, Any]) -> None:
    """An event without an ApiId would make an API of its own."""
    for properties in functions.values():
        for event in http_events(properties):
            assert event["ApiId"] == {"Ref": "Api"}


def test_path_routes_have_query_variant(functions: dict[str, Any]) -> None:
    """`/x/{filename}` has its `/x`, for names that a gateway would mangle in a path."""
    routes = {
        (event["Method"], event["Path"]) for properties in functions.values() for event in http_events(properties)
    }
    for method, path in routes:
        if path.endswith("/{filename}"):
            assert (method, path.removesuffix("/{filename}")) in routes


def test_function_timeout_is_below_gateway_timeout(functions: dict[str, Any]) -> None:
    """A function still at work when its caller has been told 503 would do things nobody knows of.

    The clean-up, which the schedule and those who hand work on call too, counts its callers' seconds by itself.
    """
    for name, properties in functions.items():
        if http_events(properties) and name != "CleanupFunction":
            assert properties["Timeout"] < GATEWAY_TIMEOUT_SECONDS


def test_binary_media_type_is_declared_for_sam_local(template: Any) -> None:
    """Without the list `sam local` answers 502; with `*/*` JSON would come in base64 as well."""
    body = template["Resources"]["Api"]["Properties"]["DefinitionBody"]
    types = body["x-amazon-apigateway-binary-media-types"]
    assert "application/octet-stream" in types
    assert "*/*" not in types
    assert body["paths"] == {}, "routes are events of their functions, written once"


@pytest.mark.parametrize(
    "header",
    [
        "accept-ranges",
        "content-disposition",
        "content-range",
        "etag",
        "last-modified",
        "location",
        "repr-digest",
        "retry-after",
        "www-authenticate",
        "x-request-id",
    ],
)
def test_cors_exposes_response_header(template: Any, header: str) -> None:
    """A browser hides from its page what is not exposed."""
    assert header in template["Resources"]["Api"]["Properties"]["CorsConfiguration"]["ExposeHeaders"]


@pytest.mark.parametrize(
    "header", ["authorization", "content-type", "content-digest", "range", "if-match", "if-none-match", "if-range"]
)
def test_cors_allows_request_header(template: Any, header: str) -> None:
    """A browser asks before it sends one of these."""
    assert header in template["Resources"]["Api"]["Properties"]["CorsConfiguration"]["AllowHeaders"]


def test_every_route_is_throttled(template: Any, functions: dict[str, Any]) -> None:
    """By parameters; what needs no token has a limit of its own, and AWS refuses settings for routes there are not."""
    properties = template["Resources"]["Api"]["Properties"]

    def limits(settings: Any) -> tuple[int, int]:
        rate, burst = settings["ThrottlingRateLimit"]["Ref"], settings["ThrottlingBurstLimit"]["Ref"]
        return template["Parameters"][rate]["Default"], template["Parameters"][burst]["Default"]

    routes = {key for keys in ROUTES.values() for key in keys}
    by_route = {key: limits(settings) for key, settings in properties["RouteSettings"].items()}
    assert by_route.keys() <= routes
    assert by_route.keys() == ROUTES["AuthFunction"] | ROUTES["CleanupFunction"]
    token = by_route.pop("POST /auth/token")
    for other in (*by_route.values(), limits(properties["DefaultRouteSettings"])):
        assert token[0] < other[0]
        assert token[1] < other[1]


def test_cleanup_runs_on_schedule(functions: dict[str, Any]) -> None:
    """On a schedule that is a parameter, with an input that is no HTTP event."""
    events = functions["CleanupFunction"]["Events"].values()
    ticks = [event["Properties"] for event in events if event["Type"] == "ScheduleV2"]
    assert [tick["ScheduleExpression"] for tick in ticks] == [{"Ref": "CleanupSchedule"}]
    assert "requestContext" not in ticks[0]["Input"]
