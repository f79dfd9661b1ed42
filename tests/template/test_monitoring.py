"""The dashboard and the alarms."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from admin.status import ALARMS
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
    """Properties of the alarms by logical id."""
    found = {
        name: monitoring.resolve(body["Properties"])
        for name, body in monitoring.resources("AWS::CloudWatch::Alarm").items()
    }
    assert found
    return found


@pytest.fixture(scope="module")
def widgets(monitoring: Template) -> list[Any]:
    """The widgets of the dashboard."""
    (dashboard,) = monitoring.resources("AWS::CloudWatch::Dashboard").values()
    found: list[Any] = json.loads(monitoring.resolve(dashboard["Properties"]["DashboardBody"]))["widgets"]
    assert found
    return found


def test_nested_stack_gets_required_parameters(template: Any, root: Path) -> None:
    """The nested stack gets all parameters that it requires, and none that it does not declare."""
    declared = load_template(root / "monitoring.yaml")["Parameters"]
    given = template["Resources"]["Monitoring"]["Properties"]["Parameters"]
    assert set(given) <= set(declared)
    assert {name for name, spec in declared.items() if "Default" not in spec} <= set(given)


def test_every_deployment_acknowledges_nested_stack(template: Any, root: Path) -> None:
    """CloudFormation may demand CAPABILITY_AUTO_EXPAND for a template with a nested stack: each environment has it."""
    assert template["Resources"]["Monitoring"]["Type"] == "AWS::CloudFormation::Stack"
    environments = tomllib.loads((root / "samconfig.toml").read_text(encoding="utf-8"))
    deploys = [
        each["deploy"]["parameters"] for each in environments.values() if isinstance(each, dict) and "deploy" in each
    ]
    assert len(deploys) == 3
    for parameters in deploys:
        assert set(parameters["capabilities"].split()) == {"CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"}


def test_widgets_do_not_overlap(widgets: list[Any]) -> None:
    """No two widgets overlap, and none exceeds the width of the dashboard."""
    taken: set[tuple[int, int]] = set()
    for widget in widgets:
        left, top = widget.get("x", 0), widget.get("y", 0)
        cells = {(left + x, top + y) for x in range(widget["width"]) for y in range(widget["height"])}
        assert left + widget["width"] <= DASHBOARD_COLUMNS
        assert not cells & taken
        taken |= cells


def test_every_alarm_is_on_dashboard(widgets: list[Any], alarms: dict[str, Any]) -> None:
    """The alarm widget shows every alarm."""
    (shown,) = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    assert sorted(shown) == sorted(f"{name}.Arn" for name in alarms)


def test_alarm_notifies_on_alarm_and_ok(alarms: dict[str, Any], root: Path) -> None:
    """An alarm notifies the topic, if there is one, on ALARM and on OK. Its description is a sentence."""
    source = load_template(root / "monitoring.yaml")
    overrides = {name: "x" for name, spec in source["Parameters"].items() if "Default" not in spec}
    with_topic = Template(source, {**overrides, "AlarmTopicArn": "arn:topic"})
    resources = with_topic.resources("AWS::CloudWatch::Alarm")
    assert resources.keys() == alarms.keys()
    for name, body in resources.items():
        properties = with_topic.resolve(body["Properties"])
        assert properties["AlarmActions"] == properties["OKActions"] == ["arn:topic"], name
        assert alarms[name]["AlarmActions"] == []
        assert properties["AlarmDescription"].endswith(".")


def test_metric_math_alarm_returns_one_series(alarms: dict[str, Any]) -> None:
    """In an alarm with an expression, the expression alone returns data, and each metric has an id of its own."""
    metric_lists = [alarm["Metrics"] for alarm in alarms.values() if "Metrics" in alarm]
    assert metric_lists
    for metrics in metric_lists:
        assert [metric.get("ReturnData", True) for metric in metrics].count(True) == 1
        assert "Expression" in metrics[0]
        ids = {metric["Id"] for metric in metrics}
        assert len(ids) == len(metrics)
        assert all(re.fullmatch(r"[a-z][A-Za-z0-9_]*", metric_id) for metric_id in ids)
        assert set(re.findall(r"\b[a-z]+\b", metrics[0]["Expression"])) <= ids


def test_missing_sweep_metrics_notify(alarms: dict[str, Any]) -> None:
    """If the cleanup stops, the alarm on stale uploads loses its data and notifies. No other alarm needs data.

    `breaching` would notify at every first deployment, before the first run.
    """
    treatments = {name: alarm["TreatMissingData"] for name, alarm in alarms.items()}
    assert len(treatments) > 1
    assert treatments == {name: "missing" if name == "StaleUploads" else "notBreaching" for name in alarms}
    notifying = {name for name, alarm in alarms.items() if "InsufficientDataActions" in alarm}
    assert notifying == {"StaleUploads"}
    stale = alarms["StaleUploads"]
    assert stale["InsufficientDataActions"] == stale["AlarmActions"]
    assert stale["DatapointsToAlarm"] == 1


def test_stale_uploads_alarm_sees_every_run(template: Any, alarms: dict[str, Any]) -> None:
    """The alarm looks back further than the longest interval between two runs, which is an hour."""
    stale = alarms["StaleUploads"]
    assert stale["Period"] * stale["EvaluationPeriods"] > 3600
    allowed = template["Parameters"]["CleanupSchedule"]["AllowedPattern"]
    valid = ("rate(1 minute)", "rate(5 minutes)", "rate(60 minutes)", "rate(1 hour)", "cron(0/15 * * * ? *)")
    invalid = (
        "rate(61 minutes)",
        "rate(2 hours)",
        "rate(1 day)",
        "cron(0 3 * * ? *)",
        "cron(0 * 1 * ? *)",
        "5 minutes",
    )
    assert [text for text in valid if not re.fullmatch(allowed, text)] == []
    assert [text for text in invalid if re.fullmatch(allowed, text)] == []
    assert re.fullmatch(allowed, template["Parameters"]["CleanupSchedule"]["Default"])


def test_admin_status_reads_every_alarm(alarms: dict[str, Any]) -> None:
    """`ferry-admin status` asks CloudWatch for exactly these alarms."""
    names = {alarm["AlarmName"].removeprefix("service-") for alarm in alarms.values()}
    assert names == set(ALARMS)
