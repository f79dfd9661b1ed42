"""Limits of sequential uploads."""

from __future__ import annotations

from ferry.rules.layout import MAX_ASSEMBLED_PART_BYTES, MAX_CHUNK_BYTES, MAX_PARTS

MAX_APPEND_BYTES = MAX_CHUNK_BYTES
"""Bytes of one append at most."""

MAX_LENGTH = MAX_PARTS * MAX_ASSEMBLED_PART_BYTES
"""Bytes of a sequential upload at most: its parts are assembled in the memory of a function."""
