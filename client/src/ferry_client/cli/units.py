"""Sizes, durations and names as people read them."""

from __future__ import annotations

import re

from ferry_client.local_files import printable

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, ends of lines, and characters that turn the text after them around (UAX #9)."""


def format_bytes(size: float) -> str:
    """Return a size with a binary unit, for example `1.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_duration(seconds: float) -> str:
    """Return a duration, for example `1:05` or `2:03:10`."""
    whole = round(seconds)
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def shown(text: str) -> str:
    """Return a text with its control characters escaped: names on disks and on the service can have some."""
    return _CONTROL.sub(lambda match: _escaped(ord(match[0])), printable(text))


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
