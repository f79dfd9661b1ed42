"""The files of `events/`, which people hand to `sam local invoke`, are what the platform would send."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sam.invoke import CASES, EVENTS, PLACEHOLDER, Case
from tests.integration.events import event
from tests.integration.stack import Stack
from tests.support.template import TEMPLATE


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_every_event_has_its_case_and_every_function_its_event() -> None:
    """Nothing in the folder is left untried, and no function is."""
    assert {path.stem for path in EVENTS.iterdir()} == {case.event for case in CASES}
    template = TEMPLATE.read_text(encoding="utf-8")
    assert all(f"  {case.function}:\n" in template for case in CASES)
    assert {case.function for case in CASES} == {
        line.strip(" :\n") for line in template.splitlines() if line.startswith("  ") and line.endswith("Function:")
    } - {"Function"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.event)
def test_an_event_is_answered_as_sam_local_must_answer_it(stack: Stack, case: Case) -> None:
    """The same table that `make test-sam` goes by, on the handlers themselves."""
    text = (EVENTS / f"{case.event}.json").read_text(encoding="utf-8").replace(PLACEHOLDER, f"Bearer {stack.token()}")
    answer = stack.handle(case.function.removesuffix("Function").lower(), json.loads(text))
    assert answer.get("statusCode") == case.status
    assert case.members <= (json.loads(answer["body"]) if case.status else answer).keys()


@pytest.mark.parametrize("case", [case for case in CASES if case.status], ids=lambda case: case.event)
def test_an_http_event_has_the_documented_members(case: Case) -> None:
    """Payload format 2.0, with nothing that a gateway would not send."""
    given = read(EVENTS / f"{case.event}.json")
    whole = event("GET /x/{filename}", filename="x", query={"a": "b"}, body=b"")
    assert given.keys() <= whole.keys()
    assert given["requestContext"].keys() == whole["requestContext"].keys()
