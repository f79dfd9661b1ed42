"""The files of `events/`, which `sam local invoke` takes, are events as AWS sends them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dev.docker.invoke import EVENTS_FOLDER, INVOCATION_CASES, PLACEHOLDER_HEADER, InvocationCase
from dev.testing.template import TEMPLATE
from tests.integration.events import build_event
from tests.integration.stack import Stack


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_sample_events_cover_all_functions() -> None:
    """Every sample event has a case, and every function has an event.

    ChunkFunction has none: by default it is not deployed. `test_chunk_endpoint.py` sends it the events of its URL.
    """
    assert {path.stem for path in EVENTS_FOLDER.iterdir()} == {case.event for case in INVOCATION_CASES}
    template = TEMPLATE.read_text(encoding="utf-8")
    assert all(f"  {case.function}:\n" in template for case in INVOCATION_CASES)
    assert {case.function for case in INVOCATION_CASES} == {
        line.strip(" :\n") for line in template.splitlines() if line.startswith("  ") and line.endswith("Function:")
    } - {"Function", "ChunkFunction"}


@pytest.mark.parametrize("case", INVOCATION_CASES, ids=lambda case: case.event)
def test_sample_event_gets_expected_response(stack: Stack, case: InvocationCase) -> None:
    """The handlers return what the table of `make test-sam` expects."""
    text = (
        (EVENTS_FOLDER / f"{case.event}.json")
        .read_text(encoding="utf-8")
        .replace(PLACEHOLDER_HEADER, f"Bearer {stack.token()}")
    )
    response = stack.invoke(case.function.removesuffix("Function").lower(), json.loads(text))
    assert response.get("statusCode") == case.status
    assert case.required_members <= (json.loads(response["body"]) if response.get("body") else response).keys()


@pytest.mark.parametrize("case", [case for case in INVOCATION_CASES if case.status], ids=lambda case: case.event)
def test_http_event_has_documented_members(case: InvocationCase) -> None:
    """An HTTP event has the members of payload format 2.0 and no others."""
    event = read(EVENTS_FOLDER / f"{case.event}.json")
    whole = build_event("GET /x/{filename+}", filename="x", query={"a": "b"}, body=b"")
    assert event.keys() <= whole.keys()
    assert event["requestContext"].keys() == whole["requestContext"].keys()
