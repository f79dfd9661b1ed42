"""Validation of events against the published schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import jsonschema

from dev.paths import ROOT

SCHEMA_PATH = ROOT / "docs" / "events.schema.json"


@cache
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    # The schema permits further members, which consumers must ignore. Ferry itself sends only documented ones.
    return jsonschema.Draft202012Validator({**schema, "additionalProperties": False})


def assert_valid_detail(detail: Mapping[str, Any]) -> None:
    """Assert that an event's detail matches the schema and that its `id` has the id of upload or link, and the type.

    Raises:
        jsonschema.ValidationError: it does not match the schema.
    """
    _validate(json.dumps(detail, sort_keys=True))
    upload_id, *revision, suffix = detail["id"].split(".")
    subject = detail["link_id" if detail["type"].startswith("ferry.link.") else "upload_id"]
    assert (upload_id, suffix) == (subject, detail["type"].rpartition(".")[2])
    assert not revision or detail["type"].startswith("ferry.file.")


@lru_cache(maxsize=4_096)
def _validate(detail: str) -> None:
    """Validate a detail, given as JSON, once: tests with fixed ids and clocks publish the same details many times.

    A detail that fails is not cached, so that it fails again.
    """
    validator().validate(json.loads(detail))
