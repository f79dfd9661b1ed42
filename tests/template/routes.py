"""The routes of the template."""

from __future__ import annotations

from typing import Any


def all_routes(functions: dict[str, Any]) -> list[tuple[str, str]]:
    """Return method and path of every route."""
    return [(event["Method"], event["Path"]) for properties in functions.values() for event in http_events(properties)]


def http_events(properties: Any) -> list[Any]:
    """Return the HttpApi events of a function."""
    return [event["Properties"] for event in properties.get("Events", {}).values() if event["Type"] == "HttpApi"]
