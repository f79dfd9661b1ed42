"""Folders of the project."""

from __future__ import annotations

from pathlib import Path

LOCAL_STATE = Path(__file__).parent.parent / ".local"
"""State folder of `make run`."""
