"""Read the metrics in a function's log."""

from __future__ import annotations

import json
from typing import Any


def metric_lines(text: str) -> list[dict[str, Any]]:
    """Return the log lines in the embedded metric format."""
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"_aws":')]
