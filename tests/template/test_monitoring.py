"""The dashboard and the alarms: whole, and about things that are there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dev.local.template import Template, load_template

DASHBOARD_COLUMNS = 24
"""Columns of a CloudWatch dashboard."""


@pytest.fixture(scope="module")
def monitoring(root: Path) -> Template:
    source = load_template(root / "monitoring.yaml")
    overrides = {name: name.lower() for name, spec in source["Parameters"].items() if "Default" not in spec}
    return Template(source, overrides, pseudo_parameters={"AWS::Region": "eu-central-1"})


@pytest.fixture(scope="module")
def alarms(monitoring: Template) -> dict[str, Any]:
    return {
        name: monitoring.resolve(body["Properties"])
        for name, body in monitoring.resources("AWS::CloudWatch::Alarm").items()
    }


@pytest.fixture(scope="module")
def widgets(monitoring: Template) -> list[Any]:
    (dashboard,) = monitoring.resources("AWS::CloudWatch::Dashboard").values()
    found: list[Any] = json.loads(monitoring.resolve(dashboard["Properties"]["DashboardBody"]))["widgets"]
    return found


def test_nested_stack_gets_required_parameters(template: Any, root: Path) -> None:
    """And none that the nested template does not know."""
    declared = load_template(root / "monitoring.yaml")["Parameters"]
    given = template["Resources"]["Monitoring"]["Properties"]["Parameters"]
    assert set(given) <= set(declared)
    assert {name for name, spec in declared.items() if "Default" not in spec} <= set(given)


def test_widgets_do_not_overlap(widgets: list[Any]) -> None:
    """No two in one place, none over the edge."""
    taken: set[tuple[int, int]] = set()
    for widget in widgets:
        left, top = widget.get("x", 0), widget.get("y", 0)
        cells = {(left + x, top + y) for x in range(widget["width"]) for y in range(widget["height"])}
        assert left + widget["width"] <= DASHBOARD_COLUMNS
        assert not cells & taken
        taken |= cells


def test_every_alarm_is_on_dashboard(widgets: list[Any], alarms: dict[str, Any]) -> None:
    """Under the widget that shows alarms."""
    (shown,) = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    assert sorted(shown) == sorted(f"{name}.Arn" for name in alarms)


def test_alarm_notifies_on_alarm_and_ok(alarms: dict[str, Any], root: Path) -> None:
    """To the topic that there is; to nobody without one. What it says is a sentence."""
    source = load_template(root / "monitoring.yaml")
    overrides = {name: "x" for name, spec in source["Parameters"].items() if "Default" not in spec}
    told = Template(source, {**overrides, "AlarmTopicArn": "arn:topic"})
    for name, body in told.resources("AWS::CloudWatch::Alarm").items():
        properties = told.resolve(body["Properties"])
        assert properties["AlarmActions"] == properties["OKActions"] == ["arn:topic"], name
        assert alarms[name]["AlarmActions"] == []
        assert properties["AlarmDescription"].endswith(".")


def test_metric_math_alarm_returns_one_series(alarms: dict[str, Any]) -> None:
    """CloudWatch takes an alarm whose expression alone returns data, each metric under an id of its own."""
    several = [alarm["Metrics"] for alarm in alarms.values() if "Metrics" in alarm]
    assert several
    for metrics in several:
        assert [metric.get("ReturnData", True) for metric in metrics].count(True) == 1
        assert "Expression" in metrics[0]
        ids = {metric["Id"] for metric in metrics}
        assert len(ids) == len(metrics)
        assert all(re.fullmatch(r"[a-z][A-Za-z0-9_]*", identity) for identity in ids)
        words = set(re.findall(r"\b[a-z]+\b", metrics[0]["Expression"]))
        assert words <= ids


def test_missing_sweep_metrics_raise_alarm(alarms: dict[str, Any]) -> None:
    """Nobody else would notice that it no longer runs; for everything else no data is good news."""
    loud = {name for name, alarm in alarms.items() if alarm["TreatMissingData"] == "breaching"}
    assert loud == {"StaleUploads"}
    assert {alarm["TreatMissingData"] for alarm in alarms.values()} == {"breaching", "notBreaching"}
