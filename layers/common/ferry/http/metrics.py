"""A log line for each response and each sweep, with metrics in CloudWatch's embedded metric format where there are any.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

CloudWatch bills each combination of dimensions as a metric, so there are few: the service (the stack's name) with the
function, or with the code of an error. Routes, statuses, latencies and request ids are fields, which Logs Insights can
query. CloudWatch also bills the bytes of a line, and a chunk writes one: docs/decisions/0016 says what it has and why
no library writes it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

NAMESPACE = "Ferry"


def emit(function_name: str, values: Mapping[str, float], fields: Mapping[str, Any], error_code: str = "") -> None:
    """Write the line of a response. See `format_response`."""
    _write(format_response(_service(), function_name, values, fields, error_code))


def emit_service(values: Mapping[str, float]) -> None:
    """Write metrics of the whole service, which have no function as a dimension."""
    _write(_format_line([_directive(("service",), values)], {"service": _service(), **values}))


def format_response(
    service: str, function_name: str, values: Mapping[str, float], fields: Mapping[str, Any], error_code: str = ""
) -> str:
    """Return the line of a response.

    Args:
        service: the name of the stack, a dimension of the metrics.
        function_name: another dimension of them.
        values: the metrics, by name.
        fields: what else the line has, without being a metric or a dimension.
        error_code: the code of an error response, which is counted as `Errors`; empty for other responses.
    """
    members: dict[str, Any] = {"service": service, "function": function_name, **values}
    directives = [_directive(("service", "function"), values)] if values else []
    if error_code:
        members |= {"code": error_code, "Errors": 1}
        directives.append(_directive(("service", "code"), ("Errors",)))
    return _format_line(directives, {**members, **fields})


def unit_of(name: str) -> str:
    """Return the unit that ends a metric's name (`Bytes`, `Milliseconds`, `Seconds`); `Count` for other names."""
    return next((unit for unit in ("Bytes", "Milliseconds", "Seconds") if name.endswith(unit)), "Count")


def _directive(dimensions: Iterable[str], names: Iterable[str]) -> dict[str, Any]:
    """Return what CloudWatch extracts from a line: metrics and the names of their dimensions."""
    metrics = [{"Name": name, "Unit": unit_of(name)} for name in names]
    return {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": metrics}


def _format_line(directives: list[dict[str, Any]], members: Mapping[str, Any]) -> str:
    timestamp = time.time_ns() // 1_000_000
    extracted = {"_aws": {"Timestamp": timestamp, "CloudWatchMetrics": directives}} if directives else {}
    return json.dumps({**extracted, **members}, separators=(",", ":"))


def _service() -> str:
    return os.environ.get("POWERTOOLS_SERVICE_NAME", "")  # noqa: TID251 - a setting shared with Powertools' Logger


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
