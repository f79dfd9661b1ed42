"""Metrics: a line in CloudWatch's embedded metric format for each response and each sweep.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

CloudWatch bills each combination of dimensions as a metric, so there are few: the service (the stack's name) with the
function, or with the code of an error. Routes, statuses and request ids are metadata, which Logs Insights can query.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools import Metrics

NAMESPACE = "Ferry"


def emit(function_name: str, values: Mapping[str, float], metadata: Mapping[str, str]) -> None:
    """Write metrics of a function, by name. `metadata` is added to the line without being a dimension."""
    metrics = _metrics()
    metrics.add_dimension(name="function", value=function_name)
    for name, value in values.items():
        metrics.add_metric(name=name, unit=unit_of(name), value=value)
    for name, text in metadata.items():
        metrics.add_metadata(name, text)
    metrics.flush_metrics()


def emit_service(values: Mapping[str, float]) -> None:
    """Write metrics of the whole service, which have no function as a dimension."""
    metrics = _metrics()
    for name, value in values.items():
        metrics.add_metric(name=name, unit=unit_of(name), value=value)
    metrics.flush_metrics()


def count_error(code: str) -> None:
    """Count an error response under its code."""
    from aws_lambda_powertools import single_metric
    from aws_lambda_powertools.metrics import MetricUnit

    with single_metric(name="Errors", unit=MetricUnit.Count, value=1, namespace=NAMESPACE) as metric:
        metric.add_dimension("code", code)


def unit_of(name: str) -> str:
    """Return the unit that ends a metric's name (`Bytes`, `Milliseconds`, `Seconds`); `Count` for other names."""
    return next((unit for unit in ("Bytes", "Milliseconds", "Seconds") if name.endswith(unit)), "Count")


def load() -> None:
    """Import the library of metrics, which is otherwise done for the first response."""
    _metrics()


@cache
def _metrics() -> Metrics:
    from aws_lambda_powertools import Metrics

    return Metrics(namespace=NAMESPACE)
