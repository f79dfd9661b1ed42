"""The stack and the event in docs/events.md: the template is valid and fits the events that Ferry publishes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dev.fakes.clock import START_MS
from dev.local.template import load_template
from dev.testing.event_schema import assert_valid_detail
from ferry.aws.event_publisher import SOURCE, event_detail
from ferry.model.events import Event, EventKind
from tests.contract.factories import NAME, NS, OTHER_ID, UPLOAD_ID, make_file


def blocks(root: Path, language: str) -> list[str]:
    page = (root / "docs" / "events.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


@pytest.fixture
def snippet(root: Path, tmp_path: Path) -> Path:
    [text] = blocks(root, "yaml")
    path = tmp_path / "snippet.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_rule_passes_cfn_lint(snippet: Path) -> None:
    """cfn-lint accepts the template, with the SAM transform."""
    from cfnlint.api import lint

    assert [str(found) for found in lint(snippet.read_text(encoding="utf-8"), regions=["us-east-1"])] == []


def test_rule_pattern_matches_events(snippet: Path) -> None:
    """The rule matches a published event, and the function reads members that it has."""
    properties = load_template(snippet)["Resources"]["OnCompleted"]["Properties"]
    pattern = properties["Events"]["Completed"]["Properties"]["Pattern"]
    published = event_detail(
        Event(EventKind.COMPLETED, START_MS, NS, NAME, UPLOAD_ID, 20_971_520, make_file(), OTHER_ID), "bucket"
    )
    assert pattern["source"] == [SOURCE]
    assert pattern["detail-type"] == [published["type"]]
    assert pattern["detail"].keys() <= published.keys()
    compile(properties["InlineCode"], "index.py", "exec")
    read = set(re.findall(r'detail\["(\w+)"\]', properties["InlineCode"]))
    assert {"id", "filename", "object"} <= read <= published.keys()


def test_example_detail_is_valid(root: Path) -> None:
    """The example event follows the schema."""
    [text] = blocks(root, "json")
    event: Any = json.loads(text)
    event["detail"]["object"]["bucket"] = "bucket"
    assert_valid_detail(event["detail"])
    assert event["detail-type"] == event["detail"]["type"]


def test_page_documents_every_type_and_member(root: Path) -> None:
    """The page names every event type and every member of the schema."""
    page = (root / "docs" / "events.md").read_text(encoding="utf-8")
    schema = json.loads((root / "docs" / "events.schema.json").read_text(encoding="utf-8"))
    assert schema["properties"]["type"]["enum"] == [kind.value for kind in EventKind]
    for word in [*schema["properties"], *EventKind]:
        assert f"`{word}`" in page
