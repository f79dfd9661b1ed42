"""The response body of `GET /health`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The service responds."""

    status: Literal["ok"] = "ok"
    """Always `ok`."""
    version: str
    """The version of Ferry."""
