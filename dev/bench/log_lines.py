"""The lines that a request writes to CloudWatch Logs, as long as on AWS, for the cost model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from dev.local.template import load_template
from dev.testing.template import TEMPLATE
from ferry.http import metrics
from ferry.rules.layout import MIB

LINE_OVERHEAD_BYTES = 26
"""What CloudWatch adds to the size of each line."""

_REQUEST_ID = "JKJaXmPLvHcESHA="
_ROUTE = "POST /upload/chunk"
_SERVICE, _FUNCTION_NAME = "ferry-prod", "ferry-prod-UploadFunction-AbCdEfGhIjKl"
"""The name of a stack, and that which CloudFormation gives to its upload function."""

CONTEXT_VARIABLES: Mapping[str, str] = {
    "requestId": _REQUEST_ID,
    "identity.sourceIp": "203.0.113.200",
    "routeKey": _ROUTE,
    "status": "200",
    "responseLength": "211",
    "responseLatency": "162",
    "integrationLatency": "158",
    "integration.status": "200",
    "error.responseType": "-",
}
"""The variables of API Gateway that the access log has, with their values for a chunk."""


@cache
def response_line() -> str:
    """Return the line that a function writes for a chunk of 4 MiB."""
    fields = {"route": _ROUTE, "status": 200, "request_id": _REQUEST_ID, "latency_ms": 145.1}
    return metrics.format_response(_SERVICE, _FUNCTION_NAME, {"ChunkBytes": 4 * MIB}, fields)


@cache
def access_log_line() -> str:
    """Return the line of API Gateway's access log for a chunk. Raises `ValueError` for an unknown variable."""
    line: str = load_template(TEMPLATE)["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"]
    for name in sorted(CONTEXT_VARIABLES, key=len, reverse=True):
        line = line.replace(f"$context.{name}", CONTEXT_VARIABLES[name])
    if "$" in line:
        raise ValueError(f"CONTEXT_VARIABLES lacks a variable of the access log: {line}")
    json.loads(line)
    return line


def billed_bytes(line: str) -> int:
    """Return the bytes that CloudWatch Logs bills for a line."""
    return len(line.encode()) + LINE_OVERHEAD_BYTES
