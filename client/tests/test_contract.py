"""The check against the OpenAPI document finds what would drift."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from client.tests.contract import check_request, completed, document
from client.tests.fake_responses import problem, reply
from client.tests.fake_service import _ROUTES, URL
from ferry_client.transport import HttpRequest

START = HttpRequest("POST", f"{URL}/upload/start", {"Content-Type": "application/json"})


@pytest.mark.parametrize("route", sorted(_ROUTES))
def test_route_of_the_fake_is_documented(route: str) -> None:
    """The service in memory has no route that the service lacks."""
    method, _, path = route.partition(" ")
    assert method.lower() in document()["paths"][path]


@pytest.mark.parametrize(
    ("url", "headers", "body"),
    [
        ("/upload/begin", {}, {}),
        ("/upload/start?force=1", {}, {"filename": "x", "size": 1}),
        ("/upload/start", {"X-Force": "1"}, {"filename": "x", "size": 1}),
        ("/upload/start", {}, {"filename": "x"}),
        ("/upload/start", {}, {"filename": "x", "size": 1, "force": True}),
        ("/upload/start", {}, {"filename": "x", "size": 1, "if_exists": "skip"}),
    ],
)
def test_request_that_the_service_would_reject_is_found(url: str, headers: dict[str, str], body: Any) -> None:
    """An unknown route, parameter, header field, member or value is an error of the test."""
    request = HttpRequest("POST", URL + url, {"Content-Type": "application/json", **headers})
    with pytest.raises((AssertionError, jsonschema.ValidationError)):
        check_request(request, json.dumps(body).encode())


@pytest.mark.parametrize(
    "response",
    [
        reply(418, {}),
        problem(409, "no_such_code", "x"),
        reply(201, {"chunk_size": "large"}),
        reply(201, {"surprise": 1}),
    ],
)
def test_response_that_the_service_never_makes_is_found(response: Any) -> None:
    """An unknown status, code, member or type in a response of the fake is an error of the test."""
    with pytest.raises((AssertionError, jsonschema.ValidationError)):
        completed(START, response)


def test_response_gets_the_members_that_the_document_requires() -> None:
    """What the fake leaves out comes from the document's example."""
    plan = completed(START, reply(201, {"chunk_size": 65536})).json()
    assert plan["chunk_size"] == 65536
    assert "limits" in plan
