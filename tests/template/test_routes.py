"""The routes of the template: those of the HTTP contract, each at its function."""

from __future__ import annotations

from typing import Any

import pytest

from tests.template.routes import all_routes, http_events

FILE_PATHS = ("/files/{filename+}", "/files")
LINK_PATHS = (
    "/links",
    "/links/{link_id}",
    "/links/{link_id}/activity",
    "/l/{secret}",
    "/l/{secret}/files",
    "/l/{secret}/download",
    "/l/{secret}/download/{filename+}",
    "/robots.txt",
)
UPLOADS_METHODS = {
    "/uploads": ("OPTIONS", "POST"),
    "/uploads/{upload_id}": ("OPTIONS", "GET", "HEAD", "PATCH", "DELETE", "POST"),
}
ROUTES = {
    "AuthFunction": {
        "POST /auth/token",
        "POST /l/{secret}/token",
        "GET /.well-known/jwks.json",
        "HEAD /.well-known/jwks.json",
        "GET /openapi.json",
        "HEAD /openapi.json",
        "GET /health",
        "HEAD /health",
    },
    "UploadFunction": {
        "POST /upload/start",
        "POST /upload/chunk",
        "POST /upload/parts",
        "POST /upload/complete",
        "DELETE /upload/{filename+}",
        "DELETE /upload",
    },
    "ChunkFunction": set(),
    "ResumableFunction": {
        *(
            f"{method} {folder}{path}"
            for folder in ("", "/l/{secret}")
            for path, methods in UPLOADS_METHODS.items()
            for method in methods
        ),
    },
    "FilesFunction": {
        *(f"{method} {path}" for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE") for path in FILE_PATHS),
        "POST /files/move",
        "POST /files/delete",
        "POST /files/restore",
        "GET /usage",
        "HEAD /usage",
    },
    "DownloadFunction": {
        f"{method} {path}"
        for method in ("GET", "HEAD")
        for path in ("/download/{filename+}", "/download", "/download/partial/{filename+}", "/download/partial")
    },
    "LinksFunction": {
        "POST /links",
        "DELETE /links/{link_id}",
        *(f"{method} {path}" for method in ("GET", "HEAD") for path in LINK_PATHS),
    },
    "StatusFunction": {
        "GET /status/{filename+}",
        "HEAD /status/{filename+}",
        "GET /status",
        "HEAD /status",
    },
    "WebFunction": {
        f"{method} {path}" for method in ("GET", "HEAD") for path in ("/", "/console", "/docs", "/assets/{asset+}")
    },
    "CleanupFunction": {
        "DELETE /cleanup",
    },
}
GATEWAY_TIMEOUT_SECONDS = 30
"""Time that API Gateway waits for a function."""


def test_functions_have_expected_routes(functions: dict[str, Any]) -> None:
    """Each function has exactly its routes."""
    found = {
        name: {f"{event['Method']} {event['Path']}" for event in http_events(properties)}
        for name, properties in functions.items()
    }
    assert found == ROUTES


def test_routes_are_unique(functions: dict[str, Any]) -> None:
    """No route is declared twice."""
    routes = all_routes(functions)
    assert len(routes) == len(set(routes)) == sum(map(len, ROUTES.values()))


def test_routes_belong_to_one_api(functions: dict[str, Any]) -> None:
    """Every event names the API. Without an ApiId, SAM would create another API."""
    for properties in functions.values():
        for event in http_events(properties):
            assert event["ApiId"] == {"Ref": "Api"}


def test_path_routes_have_query_variant(functions: dict[str, Any]) -> None:
    """Every `/x/{filename+}` has an `/x`, for filenames that a path cannot carry."""
    routes = all_routes(functions)
    with_filename = [(method, path) for method, path in routes if path.endswith("/{filename+}")]
    assert with_filename
    for method, path in with_filename:
        assert (method, path.removesuffix("/{filename+}")) in routes


def test_get_routes_have_head_twin(functions: dict[str, Any]) -> None:
    """Every GET route has a HEAD route at the same function: a GET route of an HTTP API takes no HEAD."""
    for properties in functions.values():
        routes = {(event["Method"], event["Path"]) for event in http_events(properties)}
        assert {path for method, path in routes if method == "GET"} == {
            path for method, path in routes if method == "HEAD"
        }
    assert ("GET", "/health") in all_routes(functions)


def test_function_timeout_is_below_gateway_timeout(functions: dict[str, Any]) -> None:
    """No function works on after API Gateway has answered 503.

    The cleanup function is an exception: the schedule and asynchronous completions invoke it too, and it limits the
    time of HTTP requests itself.
    """
    limited = functions.keys() - {"CleanupFunction"}
    assert limited
    for name in limited:
        assert functions[name]["Timeout"] < GATEWAY_TIMEOUT_SECONDS


def test_binary_media_type_is_declared_for_sam_local(template: Any) -> None:
    """Without `*/*` `sam local` answers 502 to bodies that are not UTF-8, such as images."""
    body = template["Resources"]["Api"]["Properties"]["DefinitionBody"]
    assert body["x-amazon-apigateway-binary-media-types"] == ["*/*"]
    assert body["paths"] == {}, "routes are declared as events of their functions"


@pytest.mark.parametrize(
    "header",
    [
        "accept-ranges",
        "content-disposition",
        "content-range",
        "etag",
        "ferry-size",
        "last-modified",
        "location",
        "repr-digest",
        "retry-after",
        "www-authenticate",
        "x-amzn-remapped-www-authenticate",
        "x-request-id",
    ],
)
def test_cors_exposes_response_header(template: Any, header: str) -> None:
    """Pages in a browser can read the response header."""
    assert header in template["Resources"]["Api"]["Properties"]["CorsConfiguration"]["ExposeHeaders"]


@pytest.mark.parametrize(
    "header",
    [
        "authorization",
        "content-type",
        "content-digest",
        "ferry-metadata",
        "range",
        "if-match",
        "if-none-match",
        "if-range",
    ],
)
def test_cors_allows_request_header(template: Any, header: str) -> None:
    """Pages in a browser can send the request header."""
    assert header in template["Resources"]["Api"]["Properties"]["CorsConfiguration"]["AllowHeaders"]


def test_every_route_is_throttled(template: Any, functions: dict[str, Any]) -> None:
    """Parameters limit every route. Public routes, files, links, cleanup and token have limits of their own."""
    properties = template["Resources"]["Api"]["Properties"]

    def limits(settings: Any) -> tuple[int, int]:
        rate, burst = settings["ThrottlingRateLimit"]["Ref"], settings["ThrottlingBurstLimit"]["Ref"]
        return template["Parameters"][rate]["Default"], template["Parameters"][burst]["Default"]

    routes = {key for keys in ROUTES.values() for key in keys}
    by_route = {key: limits(settings) for key, settings in properties["RouteSettings"].items()}
    assert by_route.keys() <= routes
    limited = ("AuthFunction", "CleanupFunction", "FilesFunction", "LinksFunction", "WebFunction")
    resumable = {key for key in ROUTES["ResumableFunction"] if key.startswith("OPTIONS") or " /l/" in key}
    assert by_route.keys() == set().union(*(ROUTES[function] for function in limited)) | resumable
    token = by_route.pop("POST /auth/token")
    for other in (*by_route.values(), limits(properties["DefaultRouteSettings"])):
        assert token[0] < other[0]
        assert token[1] < other[1]


def test_default_limits_fit_every_region(template: Any) -> None:
    """The defaults fit regions where an account has 2,500 requests per second and a burst of 1,250."""
    parameters = template["Parameters"]
    assert parameters["DefaultRateLimit"]["Default"] <= 2_500
    assert parameters["DefaultBurstLimit"]["Default"] <= 1_250


def test_detailed_metrics_follow_parameter(template: Any) -> None:
    """One parameter, off by default, switches metrics per route; route settings replace the default ones whole."""
    properties = template["Resources"]["Api"]["Properties"]
    expected = {"Fn::If": ["DetailedMetrics", True, False]}
    settings = [properties["DefaultRouteSettings"], *properties["RouteSettings"].values()]
    assert len(settings) > 1
    assert [each.get("DetailedMetricsEnabled") for each in settings] == [expected] * len(settings)
    assert template["Conditions"]["DetailedMetrics"] == {"Fn::Equals": [{"Ref": "EnableDetailedMetrics"}, "true"]}
    assert template["Parameters"]["EnableDetailedMetrics"]["Default"] == "false"


def test_cleanup_runs_on_schedule(functions: dict[str, Any]) -> None:
    """The schedule is a parameter, and its input is not an HTTP event."""
    events = functions["CleanupFunction"]["Events"].values()
    schedules = [event["Properties"] for event in events if event["Type"] == "ScheduleV2"]
    assert [schedule["ScheduleExpression"] for schedule in schedules] == [{"Ref": "CleanupSchedule"}]
    assert "requestContext" not in schedules[0]["Input"]
